/* Compressed bytes from a peer: unread input stays bounded whatever they expand to. */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/stream/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream *s;
    int fds[2], r;
    size_t n;

    if (size > 60000)
        return 0;
    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    s = stream_new(fds[0]);
    BUG_ON(stream_deflate_begin(s) != 0 || write(fds[1], data, size) != (ssize_t)size);
    shutdown(fds[1], SHUT_WR);
    for (unsigned i = 0; (r = stream_fill(s)) > 0; i++) {
        stream_data(s, &n);
        BUG_ON(n > STREAM_IN_MAX + 2 * 16384);
        if (i % 3 == 0)
            stream_consume(s, n);
        if (i % 5 == 0)
            stream_park(s);
    }
    BUG_ON(stream_fill(s) != r); /* errors are sticky */
    stream_free(&s);
    close(fds[1]);
    return 0;
}
