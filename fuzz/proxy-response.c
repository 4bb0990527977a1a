/* What a backend says to the frontend: the first byte chooses who reads it (a command passed on, LSUB, the source of a
 * copy), the rest is all that it ever says. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"
#include "lib/name/namespace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stage {
    struct session *session;
    struct client client;
    struct command cmd;
    struct proxy_leg *p;
    struct stream *backend;
    int peer;
};

static const struct name_config names = {.separator = '/',
                                         .altnamespace = true,
                                         .userprefix = "Other Users",
                                         .sharedprefix = "Shared Folders",
                                         .deletedprefix = "DELETED",
                                         .admins = "",
                                         .proxyservers = "",
                                         .implicit_owner_rights = "lkxan",
                                         .defaultacl = "anyone lrs"};

static void stage_open(struct stage *s, const char *command, const uint8_t *data, size_t size)
{
    int fds[2];

    *s = (struct stage){.session = xcalloc(1, sizeof(struct session) + 1)};
    for (int i = 0; i < SESSION_SLOTS; i++)
        s->session->source[i].fd = -1;
    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    BUG_ON(write(fds[1], data, size) != (ssize_t)size);
    shutdown(fds[1], SHUT_WR);
    s->peer = fds[1];
    s->backend = stream_new(fds[0]);
    s->client = (struct client){.magic = CLIENT_MAGIC,
                                .session = s->session,
                                .stream = stream_new(open("/dev/null", O_WRONLY | O_CLOEXEC)),
                                .pool = pool_new(0),
                                .state = CLIENT_SELECTED,
                                .command = &s->cmd};
    s->client.ns = pool_alloc(s->client.pool, sizeof(*s->client.ns));
    namespace_init(s->client.ns, &names, "fred", false, s->client.pool);
    s->cmd = (struct command){
        .client = &s->client, .def = command_find(command, strlen(command)), .pool = pool_new(0)};
    s->p = (struct proxy_leg *)proxy_leg_new(&s->client, "backend");
    s->client.selected = s->cmd.leg = &s->p->leg;
    s->p->stream = s->backend;
    s->p->selected = true;
    imap_reader_init(&s->p->reader, s->backend);
}

static void stage_close(struct stage *s)
{
    s->p->leg.ops->close(&s->p->leg);
    stream_free(&s->client.stream);
    stream_free(&s->backend);
    close(s->peer);
    pool_free(&s->client.pool);
    pool_free(&s->cmd.pool);
    free(s->session);
}

/* True: the primitive waits; all has been said, so that it must come to an end. */
static bool again(struct stage *s, int r)
{
    stream_flush(s->client.stream);
    s->session->began = clock_ms();
    return r == ERR_AGAIN;
}

/* A command under way: once more after a literal that was cut, nothing may follow but the end. */
static void pass(struct stage *s)
{
    const char *ok;
    bool cut;
    int r;

    s->p->tag = s->p->open = 2;
    do {
        r = proxy_answer(s->p, &s->cmd, s->client.stream, &ok);
        cut = s->p->passing;
    } while (again(s, r));
    BUG_ON(cut);
    BUG_ON(r != ERR_UNAVAILABLE && s->p->stream == NULL);
    BUG_ON(s->p->stream == NULL && (s->p->selected || !s->client.selected_lost));
}

static void take_name(const char *internal, void *context)
{
    (void)context;
    BUG_ON(internal == NULL);
}

static void lsub(struct stage *s)
{
    int r;

    s->p->tag = s->p->open = 2;
    do
        r = proxy_lsub(&s->p->leg, &s->cmd, take_name, NULL);
    while (again(s, r));
    BUG_ON(s->p->line.len > PROXY_LINE_MAX);
}

static int read_message(struct stage *s, struct leg_source *source, uint64_t size)
{
    uint64_t total = 0;
    const char *data;
    size_t n;
    int r;

    while ((r = proxy_source_read(source, &data, &n)) == 0 || again(s, r)) {
        if (r != 0)
            continue;
        BUG_ON(n == 0);
        total += n;
    }
    BUG_ON(total > size || (r == ERR_EOF && total != size));
    return r == ERR_EOF ? 0 : r;
}

static void copy(struct stage *s)
{
    struct leg_source *source = NULL;
    struct leg_message m;
    int r;

    do
        r = proxy_source_open(&s->p->leg, &s->cmd, "1:*", true, &source);
    while (again(s, r));
    while (r == 0) {
        do
            r = proxy_source_next(source, &m);
        while (again(s, r));
        if (r == 0)
            r = m.uid % 2 ? read_message(s, source, m.size) : 0;
    }
    proxy_source_close(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *command;
        void (*run)(struct stage *s);
    } readers[] = {{"FETCH", pass}, {"EXPUNGE", pass}, {"LSUB", lsub}, {"COPY", copy}};
    struct stage s;
    size_t which;

    if (size == 0 || size > 60000)
        return 0;
    which = data[0] % ARRAY_SIZE(readers);
    stage_open(&s, readers[which].command, data + 1, size - 1);
    again(&s, 0);
    readers[which].run(&s);
    stage_close(&s);
    return 0;
}
