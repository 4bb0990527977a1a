#include "master/service-run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/event/loop.h"
#include "master/status-pipe.h"

enum {
    TICK_MS = 1000,        /* load reports */
    RETIRED_TICK_MS = 250, /* a retired process looks whether its last session is gone */
    DRAIN_SLICE_MS = 200,  /* so that signals are seen while draining */
    GRACEFUL_MS = 60000,   /* SIGQUIT: commands may take so long to finish */
    TERMINATE_MS = 3000,   /* SIGTERM: gone within 5 s */
    LISTEN_FDS_MAX = 8,
};

enum phase { SERVING, RETIRED, DRAINING };

/* The service of this process: written by the main thread before the engine's threads start, but
 * for the atomics. */
static struct {
    const struct service *service;
    const char *name;
    const char *proxies;
    const char *options[128]; /* by letter; "" where there is no argument */
    bool our_master;
    unsigned sessions_max; /* 0: by the descriptor limit */
    unsigned listen_fds;   /* from descriptor 4 on; a foreign master gives one */
    struct engine *engine;
    struct loop *loop;
    struct loop_timer *tick;
    struct loop_watch *master_watch;
    enum phase phase;
    int64_t drain_deadline;
    atomic_bool stopping;
    atomic_bool full;
    int32_t load_told;
} run;

const char *service_name(void)
{
    return run.name;
}

const char *service_proxies(void)
{
    return run.proxies;
}

const char *service_option(char letter)
{
    return letter > 0 ? run.options[(int)letter] : NULL;
}

bool service_is_stopping(void)
{
    return run.stopping;
}

/* ---- what master hears ---- */

/* Never waits: master may be stopped or gone.  What counts is said again by the next tick. */
static void tell(int32_t message)
{
    struct status_message m = {.message = message, .pid = getpid()};
    ssize_t n;

    do {
        n = write(STATUS_PIPE_FD, &m, sizeof(m));
    } while (n < 0 && errno == EINTR);
}

static void tell_load(const struct engine_counters *c)
{
    int32_t load = status_load(c->sessions, run.full || run.stopping);

    if (run.our_master && load != run.load_told) {
        tell(load);
        run.load_told = load;
    }
}

static void on_full(bool is_full, void *context)
{
    (void)context;
    run.full = is_full;
    if (!run.stopping)
        tell(is_full ? STATUS_UNAVAILABLE : STATUS_AVAILABLE);
}

static void on_accepted(struct engine *e, int fd, void *context)
{
    (void)context;
    tell(STATUS_MULTI);
    run.service->accepted(e, fd, run.service->context);
}

/* ---- the end ---- */

static void finish(void)
{
    engine_stop(&run.engine);
    if (run.service->end != NULL)
        run.service->end(run.service->context);
    loop_stop(run.loop);
}

/* Accepts no more, whatever comes next. */
static void close_doors(void)
{
    if (atomic_exchange(&run.stopping, true))
        return;
    loop_watch_free(&run.master_watch);
    engine_stop_listening(run.engine);
    for (unsigned i = 0; i < run.listen_fds; i++)
        close(STATUS_LISTEN_FD + (int)i);
    tell(STATUS_UNAVAILABLE);
    if (run.service->stop != NULL)
        run.service->stop(run.service->context);
}

static void retire(void)
{
    close_doors();
    if (run.phase == SERVING)
        run.phase = RETIRED;
    loop_timer_set(run.tick, clock_ms());
}

static void drain(int64_t ms)
{
    int64_t deadline = clock_deadline(ms);

    close_doors();
    if (run.phase != DRAINING || deadline < run.drain_deadline)
        run.drain_deadline = deadline;
    run.phase = DRAINING;
    loop_timer_set(run.tick, clock_ms());
}

static void drain_slice(void)
{
    int64_t slice = clock_deadline(DRAIN_SLICE_MS);
    unsigned left = engine_drain(run.engine, slice < run.drain_deadline ? slice : run.drain_deadline);

    if (left == 0) {
        finish();
        return;
    }
    if (clock_left(run.drain_deadline) == 0) {
        LOG(LOG_WARNING, SERVICE_LATE, LOG_STR(SERVICE, run.name), LOG_INT(COUNT, left));
        _exit(0); /* sessions that do not end in time hold nothing that needs care */
    }
    loop_timer_set(run.tick, clock_ms());
}

static void on_signal(int signo, void *context)
{
    (void)context;
    LOG(LOG_NOTICE, SERVICE_SIGNAL, LOG_STR(SERVICE, run.name), LOG_STR(VALUE, sigabbrev_np(signo)));
    if (signo == SIGHUP)
        retire();
    else
        drain(signo == SIGQUIT ? GRACEFUL_MS : TERMINATE_MS);
}

/* The reader of the status pipe is gone: without a master nobody restarts anything, and the next
 * master needs the address. */
static void on_master_gone(int fd, unsigned events, void *context)
{
    (void)fd;
    (void)events;
    (void)context;
    LOG(LOG_WARNING, SERVICE_ORPHAN, LOG_STR(SERVICE, run.name));
    retire();
}

/* ---- the tick ---- */

static void on_tick(void *context)
{
    struct engine_counters c;

    (void)context;
    if (run.phase == DRAINING) {
        drain_slice();
        return;
    }
    engine_counters(run.engine, &c);
    tell_load(&c);
    if (run.phase == RETIRED && c.sessions == 0) {
        finish();
        return;
    }
    loop_timer_set(run.tick, clock_deadline(run.phase == RETIRED ? RETIRED_TICK_MS : TICK_MS));
}

/* ---- the start ---- */

static int usage(const char *why)
{
    fprintf(stderr, "%s: %s\nusage: %s [-C imapd.conf] [service's options], started by master(8)\n",
            run.service->program, why, run.service->program);
    return EX_USAGE;
}

/* Letters that every service takes; Cyrus's -U, -T and -D mean nothing to a threaded process. */
static int parse_options(int argc, char **argv)
{
    char *letters = xstrprintf("C:U:T:D%s", run.service->options != NULL ? run.service->options : "");
    int c;

    opterr = 0;
    while ((c = getopt(argc, argv, letters)) != -1 && c != '?')
        run.options[c] = optarg != NULL ? optarg : "";
    free(letters);
    if (c == '?')
        return usage("unknown option, or one without its argument");
    if (optind < argc)
        return usage("arguments are not expected");
    return 0;
}

static bool is_listening(int fd)
{
    int yes = 0;
    socklen_t n = sizeof(yes);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes;
}

static int take_descriptors(void)
{
    int flags = fcntl(STATUS_PIPE_FD, F_GETFL);

    if (flags < 0)
        return usage("descriptor 3 is no status pipe");
    fcntl(STATUS_PIPE_FD, F_SETFL, flags | O_NONBLOCK);
    fcntl(STATUS_PIPE_FD, F_SETFD, FD_CLOEXEC);
    for (unsigned i = 0; i < run.listen_fds; i++) {
        if (!is_listening(STATUS_LISTEN_FD + (int)i))
            return usage("descriptor 4 is no listening socket");
        fcntl(STATUS_LISTEN_FD + (int)i, F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

static void read_environment(void)
{
    const char *ours = getenv("IATLAS_MASTER"), *name = getenv("CYRUS_SERVICE");
    const char *max = getenv("IATLAS_SESSIONS_MAX"), *fds = getenv("IATLAS_LISTEN_FDS");
    const char *proxies = getenv("IATLAS_PROXYPROTOCOL");
    uint32_t n;

    run.our_master = ours != NULL && strcmp(ours, "1") == 0;
    run.proxies = proxies != NULL && *proxies != '\0' ? proxies : NULL;
    run.name = name != NULL && *name != '\0' ? name : run.service->name;
    if (max != NULL && str_parse_u32(max, strlen(max), &n) == 0)
        run.sessions_max = n;
    run.listen_fds = 1;
    if (run.our_master && fds != NULL && str_parse_u32(fds, strlen(fds), &n) == 0 && n <= LISTEN_FDS_MAX)
        run.listen_fds = n;
}

/* One that does not know what it is to obey must not serve: clients' addresses would be a balancer's. */
static int check_proxies(void)
{
    if (run.proxies == NULL || run.service->takes_proxies)
        return 0;
    fprintf(stderr, "%s: proxyprotocol of cyrus.conf is not for this program\n", run.service->program);
    return EX_CONFIG;
}

static int read_config(void)
{
    const char *path = run.options['C'] != NULL ? run.options['C'] : config_default_path();
    const char *masters = getenv("IATLAS_CONFIG");
    char *error;

    if (config_read(path, run.name, run.name, &error) < 0) {
        fprintf(stderr, "%s: %s\n", run.service->program, error);
        free(error);
        return EX_CONFIG;
    }
    if (!run.our_master || masters == NULL || strcmp(masters, path) != 0)
        config_report();
    return 0;
}

static void start_loop(void)
{
    static const int signals[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT};

    signal(SIGPIPE, SIG_IGN);
    run.loop = loop_new();
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        loop_signal(run.loop, signals[i], on_signal, NULL);
    run.tick = loop_timer_new(run.loop, on_tick, NULL);
    run.master_watch = loop_watch_new(run.loop, STATUS_PIPE_FD, POLLIN, on_master_gone, NULL);
}

static int start_failed(int r, char *error)
{
    LOG(LOG_ERR, SERVICE_FAILED, LOG_STR(SERVICE, run.name),
        LOG_STR(ERROR, error != NULL ? error : error_text(r)));
    free(error);
    return EX_TEMPFAIL;
}

static int start_engine(void)
{
    const struct engine_config config = {
        .sessions_max = run.sessions_max,
        .fds_per_session = run.service->fds_per_session,
        .full = on_full,
    };
    char *error = NULL;
    int r = engine_start(&config, &run.engine);

    if (r == 0 && run.service->start != NULL)
        r = run.service->start(run.engine, run.service->context, &error);
    if (r < 0)
        return start_failed(r, error);
    if (run.our_master)
        tell(run.load_told = status_load(0, false));
    tell(STATUS_AVAILABLE);
    for (unsigned i = 0; r == 0 && i < run.listen_fds; i++)
        r = engine_listen(run.engine, STATUS_LISTEN_FD + (int)i, on_accepted, NULL);
    return r < 0 ? start_failed(r, NULL) : 0;
}

int service_run(const struct service *service, int argc, char **argv)
{
    int r;

    run.service = service;
    run.name = service->name;
    read_environment();
    r = parse_options(argc, argv);
    if (r == 0)
        r = take_descriptors();
    if (r == 0)
        r = read_config();
    if (r == 0)
        r = check_proxies();
    if (r != 0)
        return r;
    start_loop();
    r = start_engine();
    if (r != 0)
        _exit(r); /* with threads that wait for nothing */
    loop_timer_set(run.tick, clock_deadline(TICK_MS));
    loop_run(run.loop);
    loop_free(&run.loop);
    return 0;
}
