#include "cunit/lib/backend/peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/stream/link.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { PATIENCE_MS = 30000 };

static void say(struct peer *p, struct stream *s, const char *text)
{
    char *line = xstrprintf("%s\r\n", text);
    size_t n = strlen(line), step = p->slowly ? 1 : n; /* else in one segment */

    for (size_t at = 0; at < n; at += step) {
        stream_write(s, line + at, step);
        stream_flush_wait(s, clock_deadline(PATIENCE_MS));
    }
    free(line);
}

static bool expect(struct peer *p, struct stream *s, const char *text)
{
    const char *line = "";
    size_t n = 0, k;
    bool prefix = text[0] == '*';
    int r = stream_line_wait(s, 100000, clock_deadline(PATIENCE_MS), &line, &n);

    text += prefix ? 2 : 1;
    k = strlen(text);
    if (r == 1 && (prefix ? n >= k : n == k) && memcmp(line, text, k) == 0)
        return true;
    snprintf(p->failure, sizeof(p->failure), "expected \"%.80s\", got \"%.*s\" (%s)", text,
             (int)(n < 80 ? n : 80), line, r < 0 ? error_text(r) : "line");
    return false;
}

static bool step(struct peer *p, struct stream *s, const char *text)
{
    switch (text[0]) {
    case '>':
        say(p, s, text + 2);
        return true;
    case '<':
        return expect(p, s, text + 1);
    case '~':
        return stream_tls_begin(s, link_server_context(), true, NULL) == 0 &&
               stream_handshake_wait(s, clock_deadline(PATIENCE_MS)) == 0;
    case '.':
        while (stream_fill_wait(s, clock_deadline(PATIENCE_MS)) > 0) {
            size_t n;

            stream_data(s, &n);
            stream_consume(s, n);
        }
        return true;
    default:
        return false;
    }
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    struct stream *s;
    int fd = accept(p->listener, NULL, NULL);

    if (fd < 0)
        return NULL;
    s = stream_new(fd);
    for (const char *const *text = p->script; *text != NULL && step(p, s, *text); text++)
        ;
    stream_free(&s);
    return NULL;
}

void peer_start(struct peer *p, const char *const *script, bool slowly)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    memset(p, 0, sizeof(*p));
    p->script = script;
    p->slowly = slowly;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BUG_ON(bind(p->listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(p->listener, 5) != 0);
    getsockname(p->listener, (struct sockaddr *)&a, &len);
    p->port = ntohs(a.sin_port);
    snprintf(p->server, sizeof(p->server), "127.0.0.1:%u", p->port);
    if (script != NULL)
        BUG_ON(pthread_create(&p->thread, NULL, serve, p) != 0);
}

bool peer_stop(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR); /* in case nobody came */
    if (p->script != NULL)
        pthread_join(p->thread, NULL);
    close(p->listener);
    if (p->failure[0] != '\0')
        printf("\n    %s\n", p->failure);
    return p->failure[0] == '\0';
}
