/* What a server says while we log in: the first byte chooses the protocol, the rest is all that it ever says. */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/backend/backend-private.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct backend_config config = {
        .server = "x", .authname = "murder", .password = "secret", .authzid = "user1", .timeout_ms = 1000};
    struct backend *b;
    int fds[2];

    if (size == 0 || size > 60000)
        return 0;
    config.protocol = (enum backend_protocol)(data[0] % 3);
    b = backend_new(&config);
    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    b->fd = fds[0];
    b->stream = stream_new(fds[0]);
    b->state = STATE_GREETING;
    BUG_ON(write(fds[1], data + 1, size - 1) != (ssize_t)size - 1);
    shutdown(fds[1], SHUT_WR);
    while (backend_step(b) > 0)
        ;
    BUG_ON((backend_stream(b) == NULL) != (backend_error(b)[0] != '\0'));
    backend_free(&b);
    close(fds[1]);
    return 0;
}
