/* What an LMTP server says to a transaction: every recipient has a final reply after it. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/smtp/lmtp.h"
#include "lib/stream/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t read_message(void *context, int64_t offset, void *to, size_t n)
{
    static const char text[] = "Subject: x\r\n\r\n.\r\n";
    size_t left = sizeof(text) - 1 - (size_t)offset;

    (void)context;
    n = n < left ? n : left;
    memcpy(to, text + offset, n);
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmtp_message message = {.from = "", .read = read_message, .step_ms = 1000};
    struct stream *s;
    struct lmtp *c;
    int fds[2], r;

    if (size > 60000)
        return 0;
    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    s = stream_new(fds[0]);
    BUG_ON(write(fds[1], data, size) != (ssize_t)size);
    shutdown(fds[1], SHUT_WR);
    c = lmtp_new(s, NULL, "me");
    BUG_ON(lmtp_begin(c, &message) != 0 || lmtp_rcpt(c, "a") != 0 || lmtp_rcpt(c, "b") != 1);
    while ((r = lmtp_step(c)) > 0)
        ;
    for (unsigned i = 0; i < 2; i++) {
        struct lmtp_result result = lmtp_result_get(c, i);

        BUG_ON(result.code < 200 || result.code > 599 || (result.accepted && result.code / 100 != 2));
    }
    lmtp_free(&c);
    stream_free(&s);
    close(fds[1]);
    return 0;
}
