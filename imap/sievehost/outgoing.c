#include "imap/sievehost/outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/smtp/lmtp.h"

/* ---- SMTP ---- */

enum { SUBMISSION_PORT = 587 };

static bool has_word(const char *words, const char *word)
{
    for (const char *p = strchr(words, '/'); p != NULL; p = strchr(p, '/')) {
        size_t n = strcspn(++p, "/");

        if (n == strlen(word) && str_ieq_n(p, word, n))
            return true;
    }
    return false;
}

int outgoing_server(const char *option, struct buf *server, unsigned *port_r, struct outgoing_flags *flags_r)
{
    size_t n = strcspn(option, "/"), host = n;
    const char *bracket = *option == '[' ? memchr(option, ']', n) : NULL;
    const char *colon = memchr(bracket != NULL ? bracket : option, ':',
                               n - (bracket != NULL ? (size_t)(bracket - option) : 0));
    uint32_t port = SUBMISSION_PORT;

    if (colon != NULL) {
        host = (size_t)(colon - option);
        if (str_parse_u32(colon + 1, n - host - 1, &port) < 0 || port == 0 || port > 65535)
            return ERR_CONFIG;
    }
    flags_r->tls = has_word(option + n, "tls");
    flags_r->noauth = has_word(option + n, "noauth");
    buf_reset(server);
    buf_append(server, option, host);
    *port_r = port;
    return host > 0 ? 0 : ERR_CONFIG;
}

static ssize_t read_mail(void *context, int64_t offset, void *to, size_t n)
{
    const struct outgoing *mail = context;
    size_t at = (size_t)offset;
    const char *from = mail->header;
    size_t left;

    if (at < mail->header_len) {
        left = mail->header_len - at;
    } else {
        from = mail->body;
        at -= mail->header_len;
        left = mail->body_len - at;
    }
    n = n < left ? n : left;
    if (n > 0)
        memcpy(to, from + at, n);
    return (ssize_t)n;
}

static int connect_server(int64_t deadline, struct backend **b_r, struct buf *why)
{
    struct buf server = BUF_INIT;
    struct backend_config config = {
        .protocol = BACKEND_SMTP,
        .eager = true,
        .authname = opt_string(OPT_SMTP_AUTH_AUTHNAME),
        .password = opt_string(OPT_SMTP_AUTH_PASSWORD),
        .realm = opt_string(OPT_SMTP_AUTH_REALM),
    };
    struct outgoing_flags flags;
    int r = outgoing_server(opt_string(OPT_SMTP_HOST), &server, &config.port, &flags);

    config.server = buf_cstr(&server);
    config.tls = r == 0 && flags.tls;
    config.anonymous = config.authname == NULL || (r == 0 && flags.noauth);
    if (r == 0)
        r = backend_connect_wait(&config, deadline, b_r, why);
    else
        buf_puts(why, "smtp_host is no server");
    buf_free(&server);
    return r;
}

static int step_to_end(struct lmtp *c, struct stream *s, int64_t deadline)
{
    int r;

    while ((r = lmtp_step(c)) > 0) {
        struct pollfd p = {.fd = stream_fd(s), .events = (short)lmtp_events(c)};
        int64_t until = lmtp_deadline(c) < deadline ? lmtp_deadline(c) : deadline;

        if (clock_left(deadline) == 0)
            return ERR_TIMEOUT;
        if (r == LMTP_WAIT)
            poll(&p, 1, clock_left(until));
    }
    return r;
}

/* What became of all recipients. */
static int judge(struct lmtp *c, unsigned count, struct buf *why)
{
    int r = 0;

    for (unsigned i = 0; i < count; i++) {
        struct lmtp_result result = lmtp_result_get(c, i);

        if (result.accepted)
            continue;
        if (r == 0)
            buf_printf(why, "%d %s", result.code, result.text);
        r = result.code / 100 == 5 && r != ERR_UNAVAILABLE ? ERR_REFUSED : ERR_UNAVAILABLE;
    }
    return r;
}

static int talk(const struct outgoing *mail, struct backend *b, int64_t deadline, struct buf *why)
{
    struct lmtp_message message = {
        .from = mail->from,
        .body_8bit = true,
        .utf8 = mail->utf8,
        .one_reply = true,
        .size = mail->header_len + mail->body_len,
        .read = read_mail,
        .context = (void *)mail,
        .step_ms = clock_left(deadline),
    };
    struct smtp_caps caps;
    struct lmtp *c;
    unsigned count = 0;
    int r;

    smtp_caps_parse(&caps, backend_capabilities(b));
    c = lmtp_new(backend_stream(b), &caps, NULL);
    r = lmtp_begin(c, &message);
    for (; r >= 0 && mail->to[count] != NULL; count++)
        r = lmtp_rcpt(c, mail->to[count]);
    if (r >= 0)
        r = step_to_end(c, backend_stream(b), deadline);
    if (r == 0) {
        lmtp_quit(c);
        r = judge(c, count, why);
    } else if (why->len == 0) {
        buf_puts(why, error_text(r));
    }
    lmtp_free(&c);
    return r;
}

static int send_by_smtp(const struct outgoing *mail, int64_t deadline, struct buf *why)
{
    struct backend *b = NULL;
    int r = connect_server(deadline, &b, why);

    if (r == 0)
        r = talk(mail, b, deadline, why);
    backend_free(&b);
    return r;
}

/* ---- sendmail ---- */

/* sendmail -i -f SENDER -- RECIPIENT...; the caller frees. */
static char **make_arguments(const struct outgoing *mail)
{
    size_t count = 0, n = 0;
    char **argv;

    while (mail->to[count] != NULL)
        count++;
    argv = xcalloc(count + 6, sizeof(*argv));
    argv[n++] = (char *)opt_string(OPT_SENDMAIL);
    argv[n++] = (char *)"-i";
    argv[n++] = (char *)"-f";
    argv[n++] = (char *)(*mail->from != '\0' ? mail->from : "<>");
    argv[n++] = (char *)"--";
    for (size_t i = 0; i < count; i++)
        argv[n++] = (char *)mail->to[i];
    return argv;
}

/* Signals as a program expects them, and nothing open but standard input. */
static int spawn(char *const *argv, int in, pid_t *pid_r)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t signals;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attr);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attr, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attr, &signals);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    r = posix_spawn(pid_r, argv[0], &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return r == 0 ? 0 : error_from_errno(r);
}

/* Waits for it; what does not end in time is killed. */
static int wait_for_end(pid_t pid, int64_t deadline, struct buf *why)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool ended = fd >= 0 && poll(&p, 1, clock_left(deadline)) == 1;

    if (!ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (fd >= 0)
        close(fd);
    if (!ended) {
        buf_puts(why, "sendmail does not end");
        return ERR_TIMEOUT;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    buf_printf(why, WIFEXITED(status) ? "sendmail: exit %d" : "sendmail: signal %d",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) != EX_TEMPFAIL && WEXITSTATUS(status) < 126
               ? ERR_REFUSED
               : ERR_UNAVAILABLE;
}

static int write_all(int fd, const char *data, size_t n, int64_t deadline)
{
    while (n > 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t done;

        if (poll(&p, 1, clock_left(deadline)) <= 0)
            return ERR_TIMEOUT;
        done = send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            return error_from_errno(errno);
        if (done > 0) {
            data += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

/* Lines as programs on this machine have them: LF. */
static int write_lines(int fd, const char *data, size_t n, int64_t deadline)
{
    const char *end = data + n;
    int r = 0;

    while (data < end && r == 0) {
        const char *cr = memchr(data, '\r', (size_t)(end - data));

        while (cr != NULL && (cr + 1 == end || cr[1] != '\n'))
            cr = cr + 1 < end ? memchr(cr + 1, '\r', (size_t)(end - cr - 1)) : NULL;
        r = write_all(fd, data, (size_t)((cr != NULL ? cr : end) - data), deadline);
        data = cr != NULL ? cr + 1 : end;
    }
    return r;
}

/* A socket, not a pipe: it can be written to without a signal when the program has gone. */
static int send_by_program(const struct outgoing *mail, int64_t deadline, struct buf *why)
{
    char **argv = make_arguments(mail);
    int fds[2], r, written;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        free(argv);
        return error_from_errno(errno);
    }
    r = spawn(argv, fds[0], &pid);
    close(fds[0]);
    free(argv);
    if (r < 0) {
        buf_printf(why, "%s: %s", opt_string(OPT_SENDMAIL), error_text(r));
        close(fds[1]);
        return ERR_UNAVAILABLE;
    }
    written = write_lines(fds[1], mail->header, mail->header_len, deadline);
    if (written == 0)
        written = write_lines(fds[1], mail->body, mail->body_len, deadline);
    if (written < 0)
        kill(pid, SIGKILL); /* half a message is none */
    close(fds[1]);
    r = wait_for_end(pid, deadline, why);
    return written < 0 && r == 0 ? ERR_IO : r;
}

int outgoing_send(const struct outgoing *mail, int64_t deadline, struct buf *why)
{
    return opt_enum(OPT_SMTP_BACKEND) == SMTP_BACKEND_HOST ? send_by_smtp(mail, deadline, why)
                                                           : send_by_program(mail, deadline, why);
}
