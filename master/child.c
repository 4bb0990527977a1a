#include "master/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "master/status-pipe.h"

enum { BUCKETS = 256, LINE_MAX_BYTES = 1000, FIRST_OWN_FD = 64, READS_MAX = 16 };

extern char **environ;

struct child {
    pid_t pid;
    void (*ended)(struct child *c, int status, void *owner);
    void *owner;
    struct child *next;
};

struct children {
    struct loop *loop;
    struct child *buckets[BUCKETS];
    unsigned count;
    unsigned long started; /* also CYRUS_ID */
    struct output *outputs;
};

/* ---- what they print ---- */

/* Lives as long as anybody has the pipe open: a child may leave children of its own. */
struct output {
    struct children *all;
    int fd;
    struct loop_watch *watch;
    char *name;
    pid_t pid;
    struct buf line;
    struct output *next, **link;
};

static void output_line(struct output *o)
{
    if (o->line.len > 0)
        LOG(LOG_NOTICE, MASTER_OUTPUT, LOG_STR(NAME, o->name), LOG_INT(PID, o->pid),
            LOG_STR(VALUE, buf_cstr(&o->line)));
    buf_reset(&o->line);
}

static void output_free(struct output *o)
{
    output_line(o);
    loop_watch_free(&o->watch);
    close(o->fd);
    buf_free(&o->line);
    free(o->name);
    *o->link = o->next;
    if (o->next != NULL)
        o->next->link = o->link;
    free(o);
}

static void output_text(struct output *o, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n' || o->line.len >= LINE_MAX_BYTES)
            output_line(o);
        if (s[i] != '\n' && s[i] != '\r' && s[i] != '\0')
            buf_putc(&o->line, s[i]);
    }
}

/* Takes what there is; true: that was the end. */
static bool output_read(struct output *o)
{
    char text[4096];

    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = read(o->fd, text, sizeof(text));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 || errno != EAGAIN;
        output_text(o, text, (size_t)n);
    }
    return false;
}

static void output_ready(int fd, unsigned events, void *context)
{
    (void)fd;
    (void)events;
    if (output_read(context))
        output_free(context);
}

static struct output *output_new(struct children *all, const char *name, int fd)
{
    struct output *o = xcalloc(1, sizeof(*o));

    o->all = all;
    o->fd = fd;
    o->name = xstrdup(name);
    o->watch = loop_watch_new(all->loop, fd, POLLIN, output_ready, o);
    o->next = all->outputs;
    o->link = &all->outputs;
    if (o->next != NULL)
        o->next->link = &o->next;
    all->outputs = o;
    return o;
}

int child_pipe(int *read_fd_r, int *write_fd_r)
{
    int p[2], high[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return ERR_LIMIT;
    for (int i = 0; i < 2; i++) {
        high[i] = fcntl(p[i], F_DUPFD_CLOEXEC, FIRST_OWN_FD);
        close(p[i]);
    }
    if (high[0] < 0 || high[1] < 0) {
        for (int i = 0; i < 2; i++) {
            if (high[i] >= 0)
                close(high[i]);
        }
        return ERR_LIMIT;
    }
    fcntl(high[0], F_SETFL, O_NONBLOCK);
    *read_fd_r = high[0];
    *write_fd_r = high[1];
    return 0;
}

/* ---- starting ---- */

static const char *const own_variables[] = {
    "CYRUS_SERVICE=", "CYRUS_ID=",          "CYRUS_ISDAEMON=",      "IATLAS_MASTER=",
    "IATLAS_CONFIG=", "IATLAS_LISTEN_FDS=", "IATLAS_SESSIONS_MAX=", "IATLAS_PROXYPROTOCOL="};

static bool is_own_variable(const char *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(own_variables); i++) {
        if (str_has_prefix(s, own_variables[i]))
            return true;
    }
    return false;
}

/* The child's environment, in the pool. */
static char **make_environment(struct pool *pool, const struct child_spec *spec, unsigned long id)
{
    size_t n = 0;
    char **out;

    while (environ[n] != NULL)
        n++;
    out = pool_alloc(pool, (n + ARRAY_SIZE(own_variables) + 1) * sizeof(char *));
    n = 0;
    for (size_t i = 0; environ[i] != NULL; i++) {
        if (!is_own_variable(environ[i]))
            out[n++] = environ[i];
    }
    out[n++] = pool_printf(pool, "CYRUS_SERVICE=%s", spec->name);
    out[n++] = pool_printf(pool, "CYRUS_ID=%lu", id);
    if (spec->is_daemon)
        out[n++] = pool_strdup(pool, "CYRUS_ISDAEMON=1");
    out[n++] = pool_strdup(pool, "IATLAS_MASTER=1");
    out[n++] = pool_printf(pool, "IATLAS_CONFIG=%s", config_file());
    if (spec->listen != NULL)
        out[n++] = pool_printf(pool, "IATLAS_LISTEN_FDS=%zu", spec->listen->count);
    if (spec->proxyprotocol != NULL)
        out[n++] = pool_printf(pool, "IATLAS_PROXYPROTOCOL=%s", spec->proxyprotocol);
    if (spec->sessions_max > 0)
        out[n++] = pool_printf(pool, "IATLAS_SESSIONS_MAX=%u", spec->sessions_max);
    return out;
}

/* The order counts: every target is below FIRST_OWN_FD, every source above. */
static void add_descriptors(posix_spawn_file_actions_t *actions, const struct child_spec *spec, int output_fd)
{
    int next = STATUS_PIPE_FD;

    posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (output_fd >= 0)
        posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
    if (spec->pipe_fd >= 0)
        posix_spawn_file_actions_adddup2(actions, spec->pipe_fd, next++);
    for (size_t i = 0; spec->listen != NULL && i < spec->listen->count; i++)
        posix_spawn_file_actions_adddup2(actions, spec->listen->fds[i], next++);
    posix_spawn_file_actions_addclosefrom_np(actions, next);
}

static void set_nofile(rlim_t soft)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = soft == 0 || soft > limit.rlim_max ? limit.rlim_max : soft;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int spawn(const struct child_spec *spec, int output_fd, unsigned long id, pid_t *pid_r)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    struct pool *pool = pool_new(4096);
    sigset_t none, all;
    int e;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    add_descriptors(&actions, spec, output_fd);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    set_nofile(spec->nofile); /* inherited; our own is the hard one again at once */
    e = posix_spawn(pid_r, spec->path, &actions, &attr, spec->argv, make_environment(pool, spec, id));
    set_nofile(0);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    pool_free(&pool);
    return e;
}

/* The pipe for what the child prints; -1 where the log is standard error anyway. */
static int output_pipe(struct children *all, const char *name, struct output **output_r)
{
    int read_fd, write_fd;

    *output_r = NULL;
    if (log_is_stderr() || child_pipe(&read_fd, &write_fd) < 0)
        return -1;
    *output_r = output_new(all, name, read_fd);
    return write_fd;
}

struct child *child_spawn(struct children *all, const struct child_spec *spec,
                          void (*ended)(struct child *c, int status, void *owner), void *owner)
{
    struct output *output;
    int output_fd = output_pipe(all, spec->name, &output), e;
    struct child *c;
    pid_t pid;

    e = spawn(spec, output_fd, all->started + 1, &pid);
    if (output_fd >= 0)
        close(output_fd);
    if (e != 0) {
        errno = e; /* the pipe's end frees its output */
        return NULL;
    }
    if (output != NULL)
        output->pid = pid;
    c = xcalloc(1, sizeof(*c));
    *c = (struct child){.pid = pid, .ended = ended, .owner = owner, .next = all->buckets[pid % BUCKETS]};
    all->buckets[pid % BUCKETS] = c;
    all->count++;
    all->started++;
    return c;
}

pid_t child_pid(const struct child *c)
{
    return c->pid;
}

void child_signal(const struct child *c, int signo)
{
    kill(c->pid, signo);
}

/* ---- the end ---- */

bool child_succeeded(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const char *child_status_text(int status, char *to, size_t size)
{
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

    if (WIFEXITED(status))
        snprintf(to, size, "exit %d", WEXITSTATUS(status));
    else if (name != NULL)
        snprintf(to, size, "signal %s", name);
    else
        snprintf(to, size, "signal %d", WTERMSIG(status));
    return to;
}

static void child_ended(pid_t pid, int status, void *context)
{
    struct children *all = context;

    for (struct child **at = &all->buckets[pid % BUCKETS]; *at != NULL; at = &(*at)->next) {
        struct child *c = *at;

        if (c->pid == pid) {
            *at = c->next;
            all->count--;
            c->ended(c, status, c->owner);
            free(c);
            return;
        }
    }
}

struct children *children_new(struct loop *l)
{
    struct children *all = xcalloc(1, sizeof(*all));

    all->loop = l;
    set_nofile(0);
    loop_children(l, child_ended, all);
    return all;
}

void children_free(struct children **ap)
{
    struct children *all = *ap;

    if (all == NULL)
        return;
    while (all->outputs != NULL) {
        output_read(all->outputs);
        output_free(all->outputs);
    }
    free(all);
    *ap = NULL;
}

unsigned children_count(const struct children *all)
{
    return all->count;
}

unsigned long children_started(const struct children *all)
{
    return all->started;
}

void children_signal(struct children *all, int signo)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct child *c = all->buckets[i]; c != NULL; c = c->next)
            kill(c->pid, signo);
    }
}
