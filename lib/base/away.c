#include "lib/base/away.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

enum { KEEP_S = 24 * 3600, NOTE_MAX = 512, NAME_MAX_BYTES = 240, SCANNED_MAX = 4096 };

/* The note's path, or false: nowhere to write it, no server of another machine (a socket's path), or no file's name. */
static bool note_path(struct buf *path, const char *service, const char *server)
{
    if (opt_string(OPT_CONFIGDIRECTORY) == NULL || server[0] == '\0' || server[0] == '.' ||
        strchr(server, '/') != NULL || strlen(service) + strlen(server) > NAME_MAX_BYTES)
        return false;
    config_path(path, "away/%s@%s", service, server);
    return true;
}

/* A line of printable characters. */
static void append_plain(struct buf *to, const char *s)
{
    for (; *s != '\0' && to->len < NOTE_MAX - 1; s++)
        buf_putc(to, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

/* Since when the note at the path says that the server is away; now, if there is none. */
static long long read_since(const char *path, struct buf *scratch)
{
    long long since;

    if (file_read_all(path, NOTE_MAX, scratch) == 0 && sscanf(buf_cstr(scratch), "since=%lld ", &since) == 1)
        return since;
    return clock_wall();
}

/* In one piece, and not synced: it is of no use after a crash. */
static void write_note(const char *path, const struct buf *text)
{
    struct buf temporary = BUF_INIT;
    bool written;
    int fd;

    buf_printf(&temporary, "%s.%ld.tmp", path, (long)getpid());
    fd = open(buf_cstr(&temporary), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        written = file_write(fd, text->data, text->len) == 0;
        close(fd);
        if (!written || rename(buf_cstr(&temporary), path) != 0)
            unlink(buf_cstr(&temporary));
    }
    buf_free(&temporary);
}

void away_note(const char *service, const char *server, const char *reason)
{
    struct buf path = BUF_INIT, text = BUF_INIT, scratch = BUF_INIT;

    if (note_path(&path, service, server) && file_make_parents(buf_cstr(&path), 0700, 0) == 0) {
        buf_printf(&text, "since=%lld tried=%lld reason=", read_since(buf_cstr(&path), &scratch),
                   (long long)clock_wall());
        append_plain(&text, reason);
        buf_putc(&text, '\n');
        write_note(buf_cstr(&path), &text);
    }
    buf_free(&path);
    buf_free(&text);
    buf_free(&scratch);
}

void away_clear(const char *service, const char *server)
{
    struct buf path = BUF_INIT;

    if (note_path(&path, service, server))
        unlink(buf_cstr(&path));
    buf_free(&path);
}

/* ---- the report ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_notes(char **names)
{
    struct buf path = BUF_INIT;
    struct dirent *e;
    size_t n = 0;
    DIR *dir;

    config_path(&path, "away");
    dir = opendir(buf_cstr(&path));
    while (dir != NULL && n < SCANNED_MAX && (e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.')
            names[n++] = xstrdup(e->d_name);
    if (dir != NULL)
        closedir(dir);
    buf_free(&path);
    qsort(names, n, sizeof(*names), by_name);
    return n;
}

/* Did it have something to say? */
static bool report(struct buf *to, const char *name)
{
    struct buf path = BUF_INIT, text = BUF_INIT;
    const char *at = strchr(name, '@');
    struct stat st;
    bool said = false;

    config_path(&path, "away/%s", name);
    if (stat(buf_cstr(&path), &st) != 0 || !S_ISREG(st.st_mode)) {
        /* reached meanwhile */
    } else if (clock_wall() - st.st_mtime > KEEP_S) {
        unlink(buf_cstr(&path));
    } else if (at != NULL && !str_has_suffix(name, ".tmp") &&
               file_read_all(buf_cstr(&path), NOTE_MAX, &text) == 0) {
        buf_truncate(&text, strcspn(buf_cstr(&text), "\n"));
        buf_printf(to, "server %s state=away protocol=%.*s %s\n", at + 1, (int)(at - name), name,
                   buf_cstr(&text));
        said = true;
    }
    buf_free(&path);
    buf_free(&text);
    return said;
}

void away_status(struct buf *to)
{
    char **names = xcalloc(SCANNED_MAX, sizeof(*names));
    size_t n = list_notes(names), reported = 0;

    for (size_t i = 0; i < n; i++) {
        if (reported < AWAY_REPORTED_MAX && report(to, names[i]))
            reported++;
        free(names[i]);
    }
    free(names);
}
