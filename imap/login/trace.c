/* What a session shows of itself: its line in <configdirectory>/proc (doc/formats/proc.md) and, where
 * an administrator has made the directory, its telemetry in <configdirectory>/log/<user>. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/login/login-private.h"
#include "imap/login/proc.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/options.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

/* ---- proc ---- */

/* A field ends at a TAB, a line at LF: neither can be forged. */
static void put_field(struct buf *line, const char *text, char end)
{
    for (; text != NULL && *text != '\0'; text++)
        buf_putc(line, (unsigned char)*text < ' ' ? '?' : *text);
    buf_putc(line, end);
}

void login_proc(struct login *l, const char *mailbox, const char *command)
{
    struct login_private *p = l->p;
    struct buf line = BUF_INIT;
    uint32_t crc;

    put_field(&line, l->service->name, '\t');
    put_field(&line, l->peer, '\t');
    put_field(&line, l->identity != NULL ? l->identity->userid : "", '\t');
    put_field(&line, mailbox, '\t');
    put_field(&line, command, '\n');
    crc = digest_crc32c(line.data, line.len);
    if (!p->proc_shown)
        p->proc_record = proc_take(l->service->proc);
    if (!p->proc_shown || crc != p->proc_crc)
        proc_show(l->service->proc, p->proc_record, line.data, line.len);
    p->proc_crc = crc;
    p->proc_shown = true;
    buf_free(&line);
}

void trace_proc_remove(struct login *l)
{
    if (l->p->proc_shown)
        proc_give_back(l->service->proc, l->p->proc_record);
    l->p->proc_shown = false;
}

/* ---- telemetry ---- */

/* May the user's name be a file's? */
static bool is_file_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int telemetry_open(const char *dir, const char *name)
{
    struct buf path = BUF_INIT;
    int fd;

    buf_printf(&path, "%s/%s", dir, name);
    fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    buf_free(&path);
    return fd;
}

/* SERVICE-PID or SERVICE-SESSION; a process has many sessions, and a connection many users' one after the other, so
 * those after the first also carry a number. */
static int telemetry_create(const struct login *l, const char *dir)
{
    char name[256];
    int fd, n;

    if (opt_switch(OPT_TELEMETRY_BYSESSIONID))
        n = snprintf(name, sizeof(name), "%s-%s", l->service->name, l->id);
    else
        n = snprintf(name, sizeof(name), "%s-%d", l->service->name, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(name))
        return -1;
    fd = telemetry_open(dir, name);
    if (fd >= 0)
        return fd;
    snprintf(name + n, sizeof(name) - (size_t)n, "-%" PRIu64, l->p->number);
    return telemetry_open(dir, name);
}

void trace_telemetry(struct login *l)
{
    const char *userid = l->identity->userid;
    struct buf dir = BUF_INIT;
    struct stat st;
    int fd = -1;

    if (!is_file_name(userid))
        return;
    config_path(&dir, "log/%s", userid);
    if (stat(buf_cstr(&dir), &st) == 0 && S_ISDIR(st.st_mode))
        fd = telemetry_create(l, buf_cstr(&dir));
    if (fd >= 0)
        stream_set_telemetry(l->stream, fd);
    buf_free(&dir);
}
