#include "imap/login/deny.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"

enum { FILE_MAX = 64 * 1024, LOCK_MS = 10 * 1000 };

/* A user id has neither '/' nor '^'; a leading dot must not hide the file. */
static void path_of(const char *userid, struct buf *path)
{
    config_path(path, "deny/%s%s", userid[0] == '.' ? "^" : "", userid);
}

/* A line is SERVICE TAB TEXT; cuts it in place. */
static char *split_line(char *line)
{
    char *tab = strchr(line, '\t');

    if (tab == NULL)
        return NULL;
    *tab = '\0';
    return tab + 1;
}

static int read_lines(const char *path, struct pool *pool, struct str_list *lines_r)
{
    struct buf data = BUF_INIT;
    int r = file_read_all(path, FILE_MAX, &data);

    if (r == 0)
        *lines_r = str_split(pool, buf_cstr(&data), "\n");
    buf_free(&data);
    return r;
}

static void put_printable(struct buf *to, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n < DENY_TEXT_MAX; text++, n++)
        buf_putc(to, *text < ' ' || *text > '~' ? '?' : *text);
}

/* denied: patterns with commas between. */
static bool is_meant(const char *denied, const char *service, struct pool *pool)
{
    struct str_list patterns = str_split(pool, denied, ",");

    for (size_t i = 0; i < patterns.count; i++)
        if (fnmatch(patterns.items[i], service != NULL ? service : "", FNM_NOESCAPE) == 0)
            return true;
    return false;
}

bool deny_check(const char *userid, const char *service, const char *protocol, struct buf *text)
{
    struct buf path = BUF_INIT;
    struct str_list lines = {NULL, 0};
    struct pool *pool = pool_new(0);
    bool denied = false;

    path_of(userid, &path);
    if (userid[0] != '\0' && strchr(userid, '/') == NULL)
        (void)read_lines(buf_cstr(&path), pool, &lines);
    for (size_t i = 0; i < lines.count && !denied; i++) {
        const char *reason = split_line(lines.items[i]);

        denied = reason != NULL &&
                 (is_meant(lines.items[i], service, pool) || is_meant(lines.items[i], protocol, pool));
        if (denied)
            put_printable(text, reason);
    }
    pool_free(&pool);
    buf_free(&path);
    return denied;
}

/* ---- changes ---- */

/* Copies the lines of other services (all but those of `service`); the number left out. */
static size_t keep_others(const struct str_list *lines, const char *service, bool all, struct buf *to)
{
    size_t dropped = 0;

    for (size_t i = 0; i < lines->count; i++) {
        const char *reason = split_line(lines->items[i]);

        if (reason != NULL && !all && strcmp(lines->items[i], service) != 0)
            buf_printf(to, "%s\t%s\n", lines->items[i], reason);
        else
            dropped++;
    }
    return dropped;
}

/* text NULL: allowed again. */
static int change_locked(const char *path, const char *service, const char *text)
{
    struct pool *pool = pool_new(0);
    struct str_list lines = {NULL, 0};
    struct buf data = BUF_INIT;
    bool all = text == NULL && strcmp(service, DENY_ALL_SERVICES) == 0;
    int r = read_lines(path, pool, &lines);
    size_t dropped;

    if (r == ERR_NOTFOUND && text != NULL)
        r = 0;
    dropped = keep_others(&lines, service, all, &data);
    if (r == 0 && text == NULL && dropped == 0)
        r = ERR_NOTFOUND;
    if (text != NULL) {
        buf_printf(&data, "%s\t", service);
        put_printable(&data, text);
        buf_putc(&data, '\n');
    }
    if (r == 0 && data.len > 0)
        r = file_replace(path, data.data, data.len, 0600);
    else if (r == 0 && unlink(path) != 0)
        r = error_from_errno(errno);
    buf_free(&data);
    pool_free(&pool);
    return r;
}

static int change(const char *userid, const char *service, const char *text)
{
    struct buf path = BUF_INIT, dir = BUF_INIT;
    struct lock *lock;
    int r;

    for (const char *c = service; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return ERR_INVALID;
    if (service[0] == '\0' || userid[0] == '\0' || strchr(userid, '/') != NULL)
        return ERR_INVALID;
    config_path(&dir, "deny");
    config_path(&path, "lock/deny.lock");
    r = lock_acquire_path(buf_cstr(&path), LOCK_MS, &lock);
    if (r == 0) {
        r = file_make_dirs(buf_cstr(&dir), 0700, 1);
        path_of(userid, &path);
        if (r == 0)
            r = change_locked(buf_cstr(&path), service, text);
        lock_release(&lock);
    }
    buf_free(&path);
    buf_free(&dir);
    return r;
}

int deny_set(const char *userid, const char *service, const char *text)
{
    return change(userid, service, text);
}

int deny_clear(const char *userid, const char *service)
{
    return change(userid, service, NULL);
}

/* ---- looking through ---- */

static int visit(const char *name,
                 int (*fn)(const char *userid, const char *service, const char *text, void *context),
                 void *context)
{
    struct pool *pool = pool_new(0);
    struct str_list lines = {NULL, 0};
    struct buf path = BUF_INIT;
    int r = 0;

    config_path(&path, "deny/%s", name);
    (void)read_lines(buf_cstr(&path), pool, &lines);
    for (size_t i = 0; i < lines.count && r == 0; i++) {
        const char *reason = split_line(lines.items[i]);

        if (reason != NULL)
            r = fn(name[0] == '^' ? name + 1 : name, lines.items[i], reason, context);
    }
    buf_free(&path);
    pool_free(&pool);
    return r;
}

static int is_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int deny_each(int (*fn)(const char *userid, const char *service, const char *text, void *context),
              void *context)
{
    struct buf path = BUF_INIT;
    struct dirent **names;
    int count, r = 0;

    config_path(&path, "deny");
    count = scandir(buf_cstr(&path), &names, is_file, alphasort);
    buf_free(&path);
    if (count < 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = visit(names[i]->d_name, fn, context);
        free(names[i]);
    }
    free(names);
    return r;
}

int64_t deny_changed(void)
{
    struct buf path = BUF_INIT;
    struct stat st;
    bool there;

    config_path(&path, "deny");
    there = stat(buf_cstr(&path), &st) == 0;
    buf_free(&path);
    return there ? st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec : 0;
}
