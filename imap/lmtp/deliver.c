/* deliver: a message on standard input to users of this server, through lmtpd's socket.
 *
 *     deliver [-C FILE] [-m FOLDER] [-a AUTHID] [-f|-r SENDER] [-l] [-q] [-d] [USER...]
 *
 * Without users -m names a shared folder.  Exits 0: delivered to all; 75: try again; 65: refused; 64: wrong
 * usage. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/lmtp/relay/spool.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mail/address.h"
#include "lib/smtp/lmtp.h"
#include "lib/stream/stream.h"

enum { PIECE = 16 * 1024, STEP_MS = 5 * 60 * 1000 };

struct request {
    const char *config;
    const char *folder, *authid, *sender;
    bool ignore_quota;
    char **users;
    int user_count;
};

static _Noreturn void usage(void)
{
    fputs("usage: deliver [-C FILE] [-m FOLDER] [-a AUTHID] [-f SENDER] [-q] [USER...]\n", stderr);
    exit(EX_USAGE);
}

static _Noreturn void give_up(int status, const char *what, const char *why)
{
    fprintf(stderr, "deliver: %s: %s\n", what, why);
    exit(status);
}

static void read_options(struct request *r, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "C:m:a:f:r:dlqs:D")) != -1) {
        switch (c) {
        case 'C':
            r->config = optarg;
            break;
        case 'm':
            r->folder = optarg;
            break;
        case 'a':
            r->authid = optarg;
            break;
        case 'f':
        case 'r':
            r->sender = optarg;
            break;
        case 'q':
            r->ignore_quota = true;
            break;
        case 'd': /* as an MTA calls it; -D, -l, -s: understood by older versions */
        case 'D':
        case 'l':
        case 's':
            break;
        default:
            usage();
        }
    }
    r->users = argv + optind;
    r->user_count = argc - optind;
    if (r->user_count == 0 && r->folder == NULL)
        usage();
}

/* ---- the message ---- */

/* Appends with CRLF line ends; *last is the byte before. */
static void append_crlf(struct buf *to, const char *in, size_t n, char *last)
{
    for (size_t i = 0; i < n; i++) {
        if (in[i] == '\n' && *last != '\r')
            buf_putc(to, '\r');
        buf_putc(to, in[i]);
        *last = in[i];
    }
}

/* The length of an mbox "From " line at the top, as MTAs pass it: left out. */
static size_t from_line(const char *in, size_t n)
{
    const char *lf = n > 5 && memcmp(in, "From ", 5) == 0 ? memchr(in, '\n', n) : NULL;

    return lf != NULL ? (size_t)(lf - in) + 1 : 0;
}

/* Standard input, whole. */
static void read_message(struct spool *spool)
{
    struct buf crlf = BUF_INIT;
    char in[PIECE], last = '\0';
    ssize_t n;

    while ((n = read(STDIN_FILENO, in, sizeof(in))) > 0) {
        size_t skip = last == '\0' ? from_line(in, (size_t)n) : 0;

        append_crlf(&crlf, in + skip, (size_t)n - skip, &last);
        if (spool_write(spool, buf_cstr(&crlf), crlf.len) < 0)
            give_up(EX_TEMPFAIL, "message", "cannot be spooled");
        buf_reset(&crlf);
    }
    buf_free(&crlf);
    if (n < 0)
        give_up(EX_TEMPFAIL, "standard input", strerror(errno));
}

static ssize_t read_spool(void *context, int64_t offset, void *to, size_t n)
{
    return spool_read(context, offset, to, n);
}

/* ---- the dialogue ---- */

static struct stream *connect_server(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        give_up(EX_CONFIG, path, "too long for a socket");
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        give_up(EX_TEMPFAIL, path, strerror(errno));
    return stream_new(fd);
}

/* `user`, `user+folder`, `+folder`, as a forward path. */
static void recipient(const char *user, const char *folder, struct buf *path)
{
    char *local = folder != NULL ? xstrprintf("%s+%s", user, folder) : xstrdup(user);
    char *at = folder == NULL ? strrchr(local, '@') : NULL;
    struct mail_address address = {.mailbox = local};

    if (at != NULL) {
        *at = '\0';
        address.host = at + 1;
    }
    mail_address_spec(&address, path);
    free(local);
}

static void add_recipients(struct lmtp *c, const struct request *r)
{
    struct buf path = BUF_INIT;

    for (int i = 0; i < (r->user_count > 0 ? r->user_count : 1); i++) {
        buf_reset(&path);
        recipient(r->user_count > 0 ? r->users[i] : "", r->folder, &path);
        lmtp_rcpt(c, buf_cstr(&path));
    }
    buf_free(&path);
}

static void run(struct lmtp *c, const struct stream *s)
{
    int r;

    while ((r = lmtp_step(c)) == LMTP_MORE || r == LMTP_WAIT) {
        struct pollfd p = {.fd = stream_fd(s), .events = (short)lmtp_events(c)};

        if (r == LMTP_WAIT)
            poll(&p, 1, clock_left(lmtp_deadline(c)));
    }
}

/* What the worst answer means for the caller; each that is not 2xx is told. */
static int exit_status(const struct lmtp *c, const struct request *r)
{
    int status = 0;

    for (unsigned i = 0; i < (r->user_count > 0 ? (unsigned)r->user_count : 1); i++) {
        struct lmtp_result result = lmtp_result_get(c, i);

        if (result.accepted)
            continue;
        fprintf(stderr, "%s: %d %s %s\n", r->user_count > 0 ? r->users[i] : r->folder, result.code,
                result.enhanced, result.text);
        if (result.code / 100 != 5)
            status = EX_TEMPFAIL;
        else if (status == 0)
            status = EX_DATAERR;
    }
    return status;
}

static int deliver(const struct request *r, struct spool *spool)
{
    struct stream *s = connect_server(opt_string(OPT_LMTPSOCKET));
    struct lmtp *c = lmtp_new(s, NULL, config_servername());
    const struct lmtp_message message = {
        .from = r->sender != NULL ? r->sender : "",
        .auth = r->authid,
        .ignore_quota = r->ignore_quota,
        .size = (uint64_t)spool->size,
        .read = read_spool,
        .context = spool,
        .step_ms = STEP_MS,
    };
    int status;

    lmtp_begin(c, &message);
    add_recipients(c, r);
    run(c, s);
    status = exit_status(c, r);
    lmtp_quit(c);
    lmtp_free(&c);
    stream_free(&s);
    return status;
}

int main(int argc, char **argv)
{
    struct request r = {.config = config_default_path()};
    struct spool spool;
    char *error = NULL;
    int status;

    read_options(&r, argc, argv);
    if (config_read(r.config, NULL, "deliver", &error) < 0)
        give_up(EX_CONFIG, r.config, error != NULL ? error : "unreadable");
    spool_init(&spool, opt_string(OPT_TEMP_PATH));
    read_message(&spool);
    status = deliver(&r, &spool);
    spool_free(&spool);
    return status;
}
