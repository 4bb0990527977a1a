/* What a session shows of itself: its line in <configdirectory>/proc (doc/formats/proc.md) and, where
 * an administrator has made the directory, its telemetry in <configdirectory>/log/<user>. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/login/login-private.h"
#include "lib/base/config.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

/* ---- proc ---- */

/* What a process of the same number left when it was killed. */
void trace_proc_clear(const struct login_service *service)
{
    DIR *dir;
    struct dirent *entry;
    char prefix[24];

    file_make_dirs(service->proc_dir, 0700, 0);
    dir = opendir(service->proc_dir);
    if (dir == NULL)
        return;
    snprintf(prefix, sizeof(prefix), "%d-", (int)getpid());
    while ((entry = readdir(dir)) != NULL)
        if (str_has_prefix(entry->d_name, prefix))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static void proc_path(const struct login *l, char *path, size_t size)
{
    snprintf(path, size, "%s/%d-%" PRIu64, l->service->proc_dir, (int)getpid(), l->p->number);
}

/* A field ends at a TAB, a line at LF: neither can be forged. */
static void put_field(struct buf *line, const char *text, char end)
{
    for (; text != NULL && *text != '\0'; text++)
        buf_putc(line, (unsigned char)*text < ' ' ? '?' : *text);
    buf_putc(line, end);
}

static void proc_write(const struct login *l)
{
    char path[PATH_MAX];
    int fd;

    proc_path(l, path, sizeof(path));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    /* Only for show: a full disk must not stop anybody. */
    (void)file_write(fd, l->p->proc, strlen(l->p->proc));
    close(fd);
}

void login_proc(struct login *l, const char *mailbox, const char *command)
{
    struct buf line = BUF_INIT;

    put_field(&line, l->service->name, '\t');
    put_field(&line, l->peer, '\t');
    put_field(&line, l->identity != NULL ? l->identity->userid : "", '\t');
    put_field(&line, mailbox, '\t');
    put_field(&line, command, '\n');
    if (l->p->proc != NULL && strcmp(l->p->proc, line.data) == 0) {
        buf_free(&line);
        return;
    }
    free(l->p->proc);
    l->p->proc = buf_steal(&line);
    proc_write(l);
}

void trace_proc_remove(struct login *l)
{
    char path[PATH_MAX];

    if (l->p->proc == NULL)
        return;
    proc_path(l, path, sizeof(path));
    unlink(path);
    free(l->p->proc);
    l->p->proc = NULL;
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

/* SERVICE-PID; a process has many sessions, so those after a user's first also carry their number. */
static int telemetry_create(const struct login *l, const char *dir)
{
    char name[256];
    int fd;

    if (opt_switch(OPT_TELEMETRY_BYSESSIONID)) {
        snprintf(name, sizeof(name), "%s-%s", l->service->name, l->id);
        return telemetry_open(dir, name);
    }
    snprintf(name, sizeof(name), "%s-%d", l->service->name, (int)getpid());
    fd = telemetry_open(dir, name);
    if (fd >= 0)
        return fd;
    snprintf(name, sizeof(name), "%s-%d-%" PRIu64, l->service->name, (int)getpid(), l->p->number);
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
