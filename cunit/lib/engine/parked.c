/* Ten thousand parked sessions that have worked, and what one of them costs in private memory: its
 * stream and its session object alone.  The clients live in a process of their own. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/lib/engine/helper.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum {
    SESSIONS = 10000,
    SESSIONS_SANITIZED = 500, /* what a sanitizer keeps beside says nothing about memory */
    ROUNDS = 3,
    BYTES_MAX = 1536, /* of private memory a session: 8 KiB is for an IMAP session with its mailbox */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* ---- the server ---- */

struct line_session {
    struct stream *stream;
};

static enum engine_verdict line_run(struct session *s, void *object)
{
    struct line_session *ls = object;
    const char *line;
    size_t len;
    int r;

    if (session_stopping(s))
        return ENGINE_CLOSE;
    for (;;) {
        r = stream_line(ls->stream, 1024, &line, &len);
        if (r == 1)
            stream_printf(ls->stream, "* %.*s\r\nOK done\r\n", (int)len, line);
        else
            r = stream_fill(ls->stream);
        if (r == ERR_AGAIN)
            break;
        if (r < 0)
            return ENGINE_CLOSE;
    }
    if (stream_flush(ls->stream) < 0)
        return ENGINE_CLOSE;
    session_watch(s, 0, stream_fd(ls->stream), stream_poll_events(ls->stream, true));
    session_set_deadline(s, clock_deadline(30 * 60 * 1000));
    stream_park(ls->stream);
    return ENGINE_PARK;
}

static void line_close(struct session *s, void *object)
{
    struct line_session *ls = object;

    session_watch(s, 0, -1, 0);
    stream_free(&ls->stream);
    free(ls);
}

static const struct engine_ops line_ops = {.name = "line", .run = line_run, .close = line_close};

static void line_accept(struct engine *e, int fd, void *context)
{
    struct line_session *ls = xcalloc(1, sizeof(*ls));

    (void)context;
    ls->stream = stream_new(fd);
    session_new(e, &line_ops, ls, "parked-1795293321-6019-2-1234567890123456789");
}

/* ---- the clients ---- */

static int unix_address(struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    /* an abstract name: no file */
    return (int)offsetof(struct sockaddr_un, sun_path) + 1 +
           snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "iatlas-parked-%d", (int)getpid());
}

static void talk(int fd)
{
    static const char words[] = "a001 NOOP\r\n";
    char answer[64];
    size_t have = 0;

    BUG_ON(write(fd, words, strlen(words)) != (ssize_t)strlen(words));
    while (have < strlen("* a001 NOOP\r\nOK done\r\n")) {
        ssize_t n = read(fd, answer + have, sizeof(answer) - have);

        BUG_ON(n <= 0);
        have += (size_t)n;
    }
}

static _Noreturn void client_main(const struct sockaddr_un *address, int address_len, int count, int report)
{
    int *fd = xcalloc((size_t)count, sizeof(*fd));

    alarm(120);
    for (int i = 0; i < count; i++) {
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        BUG_ON(fd[i] < 0 || connect(fd[i], (const struct sockaddr *)address, (socklen_t)address_len) < 0);
        talk(fd[i]);
    }
    for (int round = 1; round < ROUNDS; round++)
        for (int i = 0; i < count; i++)
            talk(fd[i]);
    BUG_ON(write(report, "r", 1) != 1);
    pause();
    _exit(0);
}

/* ---- measuring ---- */

static long private_kib(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long sum = 0, value;

    BUG_ON(f == NULL);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "Private_Clean: %ld kB", &value) == 1 ||
            sscanf(line, "Private_Dirty: %ld kB", &value) == 1)
            sum += value;
    fclose(f);
    return sum;
}

static int session_count(void)
{
    struct rlimit limit;

    if (SANITIZED)
        return SESSIONS_SANITIZED;
    BUG_ON(getrlimit(RLIMIT_NOFILE, &limit) < 0);
    limit.rlim_cur = limit.rlim_max;
    BUG_ON(setrlimit(RLIMIT_NOFILE, &limit) < 0);
    return limit.rlim_cur < SESSIONS + 100 ? (int)limit.rlim_cur - 100 : SESSIONS;
}

static void ten_thousand_parked(void)
{
    int count = session_count(), fd, report[2], address_len;
    struct sockaddr_un address;
    struct engine_counters c;
    struct engine *e;
    long before, after;
    pid_t child;
    char byte;

    address_len = unix_address(&address);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BUG_ON(fd < 0 || bind(fd, (struct sockaddr *)&address, (socklen_t)address_len) < 0 ||
           listen(fd, 512) < 0);
    BUG_ON(pipe(report) < 0);
    child = fork();
    if (child == 0)
        client_main(&address, address_len, count, report[1]);
    close(report[1]);
    e = helper_engine(4, 64, 0);
    before = private_kib();
    BUG_ON(engine_listen(e, fd, line_accept, NULL) != 0);

    CU_ASSERT_EQUAL(read(report[0], &byte, 1), 1);
    CU_ASSERT(helper_parked(e, (unsigned)count));
    after = private_kib();
    engine_counters(e, &c);
    CU_ASSERT_EQUAL(c.sessions, (unsigned)count);
    printf("\n    %d parked sessions: %ld bytes of private memory each, %u threads\n", count,
           (after - before) * 1024 / count, c.threads);
    if (!SANITIZED)
        CU_ASSERT((after - before) * 1024 / count < BYTES_MAX);
    CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(60000)), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    engine_stop(&e);
    close(report[0]);
    close(fd);
}

static const struct unit_case cases[] = {
    {"ten thousand parked sessions", ten_thousand_parked},
    {NULL, NULL},
};

const struct unit_suite parked_suite = {"parked", cases};
