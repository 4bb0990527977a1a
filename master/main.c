/* master: the supervisor (master.8). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/away.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/event/loop.h"
#include "master/child.h"
#include "master/conf.h"
#include "master/daemons.h"
#include "master/events.h"
#include "master/pidfile.h"
#include "master/services.h"
#include "master/startup.h"
#include "master/status.h"
#include "master/user.h"

enum {
    DEFAULT_BACKLOG = 1024,
    STOP_TICK_MS = 20,
};

enum phase { STARTING, RUNNING, STOPPING };

/* What is being stopped: everything that serves, then daemons, then those with wait=y, last first. */
enum stop_step { STOP_SERVICES, STOP_DAEMONS, STOP_WAITING, STOP_STEPS };

/* How long each step may take before SIGKILL. */
static const int64_t stop_at_once[STOP_STEPS] = {3700, 400, 400};
static const int64_t stop_gracefully[STOP_STEPS] = {65000, 10000, 10000};

struct arguments {
    const char *config, *conf, *pid, *ready, *log;
    int backlog;
    int64_t startup_wait_ms;
    bool background;
};

struct master {
    struct arguments args;
    struct loop *loop;
    struct children *children;
    struct conf *conf; /* what runs is named by it */
    struct services *services;
    struct daemons *daemons;
    struct events *events;
    struct startup *startup;
    struct status *status;
    enum phase phase;
    bool reload_wanted; /* a SIGHUP came while starting */
    int exit_code;
    int parent_fd; /* tells the parent that we are up; -1 in the foreground */
    int64_t began;

    struct loop_timer *stop_timer;
    enum stop_step stop_step;
    bool step_begun;
    int stop_signal;
    const int64_t *stop_ms;
    int64_t stop_deadline;
    unsigned waiting_left;
};

/* ---- stopping ---- */

static void clean_up(struct master *m)
{
    status_close(&m->status);
    unlink(m->args.ready);
    unlink(m->args.pid);
    LOG(LOG_NOTICE, MASTER_STOPPED, LOG_INT(PID, getpid()));
    loop_stop(m->loop);
}

static void begin_step(struct master *m)
{
    m->step_begun = true;
    m->stop_deadline = clock_deadline(m->stop_ms[m->stop_step]);
    switch (m->stop_step) {
    case STOP_SERVICES:
        services_stop(m->services, m->stop_signal);
        events_stop(m->events, SIGTERM);
        daemons_stop(m->daemons);
        startup_stop(m->startup, SIGTERM);
        break;
    case STOP_DAEMONS:
        daemons_stop_plain(m->daemons, SIGTERM);
        break;
    case STOP_WAITING:
        m->waiting_left = daemons_waiting_running(m->daemons);
        daemons_stop_last_waiting(m->daemons, SIGTERM);
        break;
    case STOP_STEPS:
        break;
    }
}

/* How many the step still waits for. */
static unsigned step_left(struct master *m)
{
    unsigned left;

    if (m->stop_step == STOP_DAEMONS)
        return daemons_plain_running(m->daemons);
    if (m->stop_step == STOP_WAITING) {
        left = daemons_waiting_running(m->daemons);
        if (left < m->waiting_left)
            daemons_stop_last_waiting(m->daemons, SIGTERM);
        m->waiting_left = left;
        return left;
    }
    return children_count(m->children) - daemons_plain_running(m->daemons) -
           daemons_waiting_running(m->daemons);
}

static void kill_step(struct master *m)
{
    switch (m->stop_step) {
    case STOP_SERVICES:
        services_signal(m->services, SIGKILL);
        events_stop(m->events, SIGKILL);
        startup_stop(m->startup, SIGKILL);
        break;
    case STOP_DAEMONS:
        daemons_stop_plain(m->daemons, SIGKILL);
        break;
    case STOP_WAITING:
    case STOP_STEPS:
        children_signal(m->children, SIGKILL);
        break;
    }
}

static void stop_tick(void *context)
{
    struct master *m = context;

    while (m->stop_step < STOP_STEPS) {
        if (!m->step_begun)
            begin_step(m);
        if (step_left(m) > 0)
            break;
        m->stop_step++;
        m->step_begun = false;
    }
    if (m->stop_step == STOP_STEPS) {
        clean_up(m);
        return;
    }
    if (clock_left(m->stop_deadline) == 0)
        kill_step(m);
    loop_timer_set(m->stop_timer, clock_deadline(STOP_TICK_MS));
}

/* SIGQUIT: gracefully.  Anything else: at once, also when a graceful stop is under way. */
static void stop(struct master *m, int signo)
{
    bool harder = m->phase == STOPPING && signo != SIGQUIT && m->stop_signal == SIGQUIT;

    if (m->phase == STOPPING && !harder)
        return;
    LOG(LOG_NOTICE, MASTER_STOPPING, LOG_STR(VALUE, sigabbrev_np(signo)));
    m->phase = STOPPING;
    m->stop_signal = signo == SIGQUIT ? SIGQUIT : SIGTERM;
    m->stop_ms = signo == SIGQUIT ? stop_gracefully : stop_at_once;
    m->step_begun = false; /* a step that has begun begins again, with the new signal */
    loop_timer_set(m->stop_timer, clock_ms());
}

static void fail(struct master *m, int code, const char *what)
{
    LOG(LOG_ERR, MASTER_FAILED, LOG_STR(ERROR, what));
    if (!log_is_stderr())
        fprintf(stderr, "master: %s\n", what);
    m->exit_code = code;
    stop(m, SIGTERM);
}

/* ---- reloading and status ---- */

static void on_unknown_key(const char *place, const char *key)
{
    LOG(LOG_WARNING, MASTER_KEY, LOG_STR(PLACE, place), LOG_STR(NAME, key));
}

static void reload(struct master *m)
{
    struct conf *conf;
    char *error = NULL;

    log_reopen();
    if (conf_read(m->args.conf, on_unknown_key, &conf, &error) < 0) {
        LOG(LOG_ERR, MASTER_CONF, LOG_STR(NAME, m->args.conf), LOG_STR(ERROR, error));
        free(error);
        return; /* what runs goes on */
    }
    LOG(LOG_NOTICE, MASTER_RELOAD, LOG_STR(NAME, m->args.conf));
    config_report();
    services_load(m->services, conf, false, &error);
    daemons_load(m->daemons, conf, false, &error);
    events_load(m->events, conf, false, &error);
    conf_free(&m->conf);
    m->conf = conf;
}

static void write_status(struct buf *to, void *context)
{
    static const char *const phases[] = {"starting", "running", "stopping"};
    const struct master *m = context;

    buf_printf(to, "master pid=%ld state=%s since=%lld children=%u forks=%lu crashes=%lu\n", (long)getpid(),
               phases[m->phase], (long long)m->began, children_count(m->children),
               children_started(m->children), services_crashes(m->services));
    services_status(m->services, to);
    daemons_status(m->daemons, to);
    events_status(m->events, to);
    away_status(to);
}

static void on_signal(int signo, void *context)
{
    struct master *m = context;

    if (signo == SIGUSR1)
        services_log(m->services);
    else if (signo != SIGHUP)
        stop(m, signo);
    else if (m->phase == RUNNING)
        reload(m);
    else
        m->reload_wanted = true;
}

/* ---- starting ---- */

/* The parent of -d may go: we are up. */
static void tell_parent(struct master *m)
{
    int null;

    if (m->parent_fd < 0)
        return;
    if (write(m->parent_fd, "", 1) != 1)
        LOG(LOG_WARNING, MASTER_FAILED, LOG_STR(ERROR, "the parent is gone"));
    close(m->parent_fd);
    m->parent_fd = -1;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++) {
        if (fd == 0 || m->args.log == NULL)
            dup2(null, fd);
    }
    if (null > 2)
        close(null);
}

static void daemons_ready(const char *error, void *context)
{
    struct master *m = context;
    int r;

    if (error != NULL) {
        fail(m, EX_TEMPFAIL, error);
        return;
    }
    r = pidfile_write(m->args.pid);
    if (r < 0) {
        fail(m, EX_OSERR, "the pid file cannot be written");
        return;
    }
    if (pidfile_write_ready(m->args.ready) < 0)
        LOG(LOG_ERR, MASTER_READY_FILE, LOG_STR(NAME, m->args.ready));
    m->phase = RUNNING;
    services_run(m->services);
    daemons_start_plain(m->daemons);
    events_run(m->events);
    LOG(LOG_NOTICE, MASTER_READY, LOG_INT(PID, getpid()));
    tell_parent(m);
    if (m->reload_wanted)
        reload(m);
}

static void start_done(const char *error, void *context)
{
    struct master *m = context;
    struct buf path = BUF_INIT;
    char *why = NULL;
    int r;

    if (error != NULL) {
        fail(m, EX_TEMPFAIL, error);
        return;
    }
    if (services_listen(m->services, &why) < 0) {
        fail(m, EX_OSERR, why);
        free(why);
        return;
    }
    config_path(&path, "socket/master");
    r = status_open(m->loop, buf_cstr(&path), write_status, m, &m->status);
    if (r < 0)
        LOG(LOG_ERR, MASTER_STATUS_SOCKET, LOG_STR(NAME, buf_cstr(&path)), LOG_ERROR(r));
    buf_free(&path);
    daemons_start_waiting(m->daemons, daemons_ready, m);
}

/* The first turn of the loop. */
static void begin(void *context)
{
    struct master *m = context;

    if (m->phase == STARTING)
        m->startup = startup_run(m->children, m->conf, start_done, m);
}

static int complain(int code, char *error)
{
    fprintf(stderr, "master: %s\n", error);
    LOG(LOG_ERR, MASTER_FAILED, LOG_STR(ERROR, error));
    free(error);
    return code;
}

/* A configdirectory that is not there yet is made, for who will use it. */
static void make_configdirectory(void)
{
    const char *dir = opt_string(OPT_CONFIGDIRECTORY);

    if (access(dir, F_OK) != 0 && file_make_dirs(dir, 0750, 0) == 0)
        user_give(dir);
}

/* What must be done as root is done; then we are cyrus_user. */
static int become_user(struct master *m)
{
    const char *log = opt_string(OPT_LOG_TARGET);

    char *lock = xstrprintf("%s.lock", m->args.pid);

    user_give(lock);
    free(lock);
    if (str_has_prefix(log, "file:"))
        user_give(log + 5);
    if (!user_may_make(m->args.pid)) {
        if (pidfile_write(m->args.pid) < 0)
            return complain(EX_OSERR, xstrprintf("%s cannot be written", m->args.pid));
        user_give(m->args.pid);
    }
    if (user_become() < 0)
        return complain(EX_NOPERM, xstrdup("cannot become cyrus_user"));
    return 0;
}

static int load(struct master *m)
{
    char *error = NULL, *placed; /* the loaders' messages begin with line and column */
    int r = conf_read(m->args.conf, on_unknown_key, &m->conf, &error);

    if (r < 0)
        return complain(EX_CONFIG, error);
    r = services_load(m->services, m->conf, true, &error);
    if (r == 0)
        r = daemons_load(m->daemons, m->conf, true, &error);
    if (r == 0)
        r = events_load(m->events, m->conf, true, &error);
    if (r == 0)
        return 0;
    placed = xstrprintf("%s:%s", m->args.conf, error);
    free(error);
    return complain(EX_CONFIG, placed);
}

static int prepare(struct master *m)
{
    char *error = NULL;

    if (config_read(m->args.config, "master", "master", &error) < 0)
        return complain(EX_CONFIG, error);
    config_report();
    if (user_check(&error) < 0)
        return complain(EX_NOUSER, error);
    make_configdirectory();
    if (m->args.pid == NULL)
        m->args.pid = opt_string(OPT_MASTER_PID_FILE);
    if (m->args.ready == NULL)
        m->args.ready = opt_string(OPT_MASTER_READY_FILE);
    if (pidfile_lock(m->args.pid, &error) < 0)
        return complain(EX_OSERR, error);
    unlink(m->args.ready); /* of a master that died */
    return 0;
}

static void start_loop(struct master *m)
{
    static const int signals[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1};

    signal(SIGPIPE, SIG_IGN);
    m->began = clock_wall();
    m->loop = loop_new();
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        loop_signal(m->loop, signals[i], on_signal, m);
    m->stop_timer = loop_timer_new(m->loop, stop_tick, m);
    m->children = children_new(m->loop);
    m->services = services_new(m->loop, m->children, m->args.backlog);
    m->daemons = daemons_new(m->loop, m->children);
    m->events = events_new(m->loop, m->children);
}

static int run(struct master *m)
{
    int r = prepare(m);

    if (r != 0)
        return r;
    start_loop(m);
    r = load(m);
    if (r == 0)
        r = become_user(m);
    if (r == 0) {
        loop_timer_set(loop_timer_new(m->loop, begin, m), clock_ms());
        loop_run(m->loop);
        r = m->exit_code;
    }
    startup_free(&m->startup);
    services_free(&m->services);
    daemons_free(&m->daemons);
    events_free(&m->events);
    children_free(&m->children);
    conf_free(&m->conf);
    loop_free(&m->loop);
    return r;
}

/* ---- the command line ---- */

static void usage(void)
{
    fprintf(stderr,
            "usage: master [-C imapd.conf] [-M cyrus.conf] [-l backlog] [-p pidfile] [-P startup-wait]\n"
            "              [-r readyfile] [-L logfile] [-d] [-D] [-j janitor] [-v] [-V]\n");
}

static int parse_number(const char *s, uint32_t *to)
{
    return str_parse_u32(s, strlen(s), to) < 0 || *to > INT_MAX / 1000 ? EX_USAGE : 0;
}

/* An exit code, or -1: go on. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    uint32_t n;
    int c;

    while ((c = getopt(argc, argv, "C:M:l:p:P:r:L:dDj:vV")) != -1) {
        switch (c) {
        case 'C':
            a->config = optarg;
            break;
        case 'M':
            a->conf = optarg;
            break;
        case 'p':
            a->pid = optarg;
            break;
        case 'r':
            a->ready = optarg;
            break;
        case 'L':
            a->log = optarg;
            break;
        case 'd':
            a->background = true;
            break;
        case 'l':
        case 'P':
        case 'j': /* Cyrus's janitor: we have none */
            if (parse_number(optarg, &n) != 0) {
                usage();
                return EX_USAGE;
            }
            if (c == 'l')
                a->backlog = (int)n;
            else if (c == 'P')
                a->startup_wait_ms = (int64_t)n * 1000;
            break;
        case 'D': /* Cyrus's debugging: */
        case 'v': /* the option debug says what is logged */
            break;
        case 'V':
            printf("iatlas %s\n", PACKAGE_VERSION);
            return 0;
        default:
            usage();
            return EX_USAGE;
        }
    }
    return -1;
}

static int redirect(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0) {
        fprintf(stderr, "master: %s: %s\n", path, strerror(errno));
        return EX_CANTCREAT;
    }
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    return 0;
}

/* The parent of -d: waits for the daemon to be up, or for its end. */
static int wait_for_daemon(pid_t pid, int fd, int64_t wait_ms)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    int64_t deadline = clock_deadline(wait_ms);
    int status, r;
    char c;

    do {
        r = poll(&pfd, 1, clock_left(deadline));
    } while (r < 0 && errno == EINTR);
    if (r == 0) {
        fprintf(stderr, "master: not ready in time; it goes on in the background\n");
        return EX_TEMPFAIL;
    }
    if (read(fd, &c, 1) == 1)
        return 0;
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return EX_OSERR;
}

/* 0 in the daemon; in the parent it does not return. */
static int go_to_background(struct master *m)
{
    int p[2];
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        fprintf(stderr, "master: %s\n", strerror(errno));
        return EX_OSERR;
    }
    if (pid > 0) {
        close(p[1]);
        _exit(wait_for_daemon(pid, p[0], m->args.startup_wait_ms));
    }
    close(p[0]);
    m->parent_fd = p[1];
    setsid();
    return 0;
}

/* Programs get this path and may stand elsewhere. */
static char *absolute(const char *path)
{
    char *real = realpath(path, NULL);

    return real != NULL ? real : xstrdup(path);
}

int main(int argc, char **argv)
{
    static struct master m = {
        .args = {.conf = "/etc/cyrus.conf", .backlog = DEFAULT_BACKLOG, .startup_wait_ms = -1},
        .parent_fd = -1};
    char *config;
    int r = parse_arguments(argc, argv, &m.args);

    if (r >= 0)
        return r;
    config = absolute(m.args.config != NULL ? m.args.config : config_default_path());
    m.args.config = config;
    r = m.args.log != NULL ? redirect(m.args.log) : 0;
    if (r == 0 && m.args.background)
        r = go_to_background(&m);
    if (r == 0)
        r = run(&m);
    free(config);
    return r;
}
