#include "imap/sievehost/scripts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/sievehost/compiled.h"
#include "imap/sievehost/files-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/name/scriptdir.h"

enum { LOCK_MS = 10 * 1000, LIST_MAX = 10 * 1000 };

#define NAME_SUFFIX ".name" /* beside a script whose file is called by a digest: its name */

struct scripts {
    struct buf directory;
};

int scripts_open(const struct name_config *config, const char *userid, struct scripts **scripts_r)
{
    struct scripts *s;
    int r;

    *scripts_r = NULL;
    if (opt_switch(OPT_SIEVEUSEHOMEDIR))
        return ERR_UNSUPPORTED;
    s = xcalloc(1, sizeof(*s));
    r = scriptdir_user(config, userid, &s->directory);
    if (r < 0)
        scripts_close(&s);
    *scripts_r = s;
    return r;
}

void scripts_close(struct scripts **scripts)
{
    if (*scripts == NULL)
        return;
    buf_free(&(*scripts)->directory);
    free(*scripts);
    *scripts = NULL;
}

/* ---- names and files ---- */

/* U+0080 to U+009F, U+2028, U+2029 (RFC 5804 1.6), as UTF-8. */
static bool is_forbidden(const unsigned char *p)
{
    return *p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0) ||
           (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9));
}

bool scripts_name_is_ok(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > SCRIPTS_NAME_MAX || !str_is_utf8(name, n))
        return false;
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
        if (is_forbidden(p))
            return false;
    return true;
}

static char *path_of(const struct scripts *s, const char *base, const char *suffix)
{
    return xstrprintf("%s/%s%s", buf_cstr(&s->directory), base, suffix);
}

/* A name's file. */
struct place {
    struct buf base;
    char *path;
};

static int place_of(const struct scripts *s, const char *name, struct place *place)
{
    *place = (struct place){.base = BUF_INIT};
    if (!scripts_name_is_ok(name))
        return ERR_BADNAME;
    script_base(name, &place->base);
    place->path = path_of(s, buf_cstr(&place->base), SCRIPT_SUFFIX);
    return 0;
}

static void place_free(struct place *place)
{
    buf_free(&place->base);
    free(place->path);
}

/* 1, 0, or an error. */
static int exists(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISREG(st.st_mode);
    return errno == ENOENT || errno == ENOTDIR ? 0 : error_from_errno(errno);
}

static int remove_file(const struct scripts *s, const char *base, const char *suffix)
{
    char *path = path_of(s, base, suffix);
    int r = unlink(path) == 0 || errno == ENOENT ? 0 : error_from_errno(errno);

    free(path);
    return r;
}

static int sync_directory(const struct scripts *s)
{
    return file_sync_dir(buf_cstr(&s->directory));
}

/* ---- reading ---- */

/* The script's name, of a file's base, in the pool; NULL: not to be had. */
static const char *name_of(const struct scripts *s, struct pool *pool, const char *base)
{
    struct buf name = BUF_INIT;
    const char *kept = NULL;
    char *path;

    if (!script_base_is_digest(base))
        return scripts_name_is_ok(base) ? pool_strdup(pool, base) : NULL;
    path = path_of(s, base, NAME_SUFFIX);
    if (file_read_all(path, SCRIPTS_NAME_MAX, &name) == 0 && scripts_name_is_ok(buf_cstr(&name)))
        kept = pool_strdup(pool, buf_cstr(&name));
    buf_free(&name);
    free(path);
    return kept;
}

/* The base of a directory's entry, in the pool; NULL: it is no script. */
static const char *base_of(struct pool *pool, const char *file)
{
    size_t n = strlen(file);

    if (!str_has_suffix(file, SCRIPT_SUFFIX) || n == strlen(SCRIPT_SUFFIX))
        return NULL;
    return pool_strndup(pool, file, n - strlen(SCRIPT_SUFFIX));
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct script_info *)a)->name, ((const struct script_info *)b)->name);
}

static void add_entry(const struct scripts *s, struct pool *pool, const char *file, const char *active,
                      struct script_info *list, size_t *count)
{
    const char *base = base_of(pool, file), *name = base != NULL ? name_of(s, pool, base) : NULL;
    struct stat st;
    char *path;

    if (name == NULL)
        return;
    path = path_of(s, file, "");
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        list[(*count)++] = (struct script_info){name, (uint64_t)st.st_size, strcmp(base, active) == 0};
    free(path);
}

int scripts_list(struct scripts *s, struct pool *pool, struct script_info **list_r, size_t *count_r)
{
    struct buf active = BUF_INIT;
    struct script_info *list = NULL;
    size_t room = 0, count = 0;
    const struct dirent *entry;
    DIR *dir = opendir(buf_cstr(&s->directory));
    int r = 0;

    *list_r = NULL;
    *count_r = 0;
    if (dir == NULL)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    r = script_active_base(buf_cstr(&s->directory), &active);
    r = r == ERR_NOTFOUND ? 0 : r;
    while (r == 0 && count < LIST_MAX && (entry = readdir(dir)) != NULL) {
        if (count == room) {
            room = room > 0 ? 2 * room : 16;
            list = xreallocarray(list, room, sizeof(*list));
        }
        add_entry(s, pool, entry->d_name, buf_cstr(&active), list, &count);
    }
    closedir(dir);
    if (count > 0) {
        qsort(list, count, sizeof(*list), compare);
        *list_r = pool_memdup(pool, list, count * sizeof(*list));
        *count_r = count;
    }
    free(list);
    buf_free(&active);
    return r;
}

int scripts_get(struct scripts *s, const char *name, struct buf *text)
{
    struct place place;
    int r = place_of(s, name, &place);

    if (r == 0)
        r = file_read_all(place.path, SIEVE_SCRIPT_MAX, text);
    place_free(&place);
    return r;
}

/* ---- limits ---- */

int scripts_check(const char *text, size_t n, struct buf *errors)
{
    struct sieve_script *script;
    int r;

    if ((int64_t)n > opt_bytes(OPT_SIEVE_MAXSCRIPTSIZE))
        return ERR_TOOBIG;
    r = compiled_compile(text, n, errors, &script);
    sieve_script_free(&script);
    return r;
}

int scripts_have_space(struct scripts *s, const char *name, uint64_t size)
{
    struct pool *pool = pool_new(0);
    struct script_info *list;
    struct place place;
    size_t count;
    int r = place_of(s, name, &place);

    if (r == 0 && size > (uint64_t)opt_bytes(OPT_SIEVE_MAXSCRIPTSIZE))
        r = ERR_TOOBIG;
    if (r == 0)
        r = exists(place.path);
    if (r == 0) {
        r = scripts_list(s, pool, &list, &count);
        if (r == 0 && (int64_t)count >= opt_int(OPT_SIEVE_MAXSCRIPTS))
            r = ERR_LIMIT;
    }
    place_free(&place);
    pool_free(&pool);
    return r < 0 ? r : 0;
}

/* ---- changes ---- */

static int lock_scripts(const struct scripts *s, struct lock **lock_r)
{
    char *path;
    int r = file_make_dirs(buf_cstr(&s->directory), 0700, 1);

    *lock_r = NULL;
    if (r < 0)
        return r;
    path = path_of(s, "", ".lock");
    r = lock_acquire_path(path, LOCK_MS, lock_r);
    free(path);
    return r;
}

/* The name itself, where the file cannot be called so: before the file, since a script without a name is lost. */
static int put_name(const struct scripts *s, const char *base, const char *name)
{
    char *path;
    int r;

    if (!script_base_is_digest(base))
        return 0;
    path = path_of(s, base, NAME_SUFFIX);
    r = file_replace(path, name, strlen(name), 0600);
    free(path);
    return r;
}

/* What Cyrus had compiled of another text must not be taken for this one's. */
static int put_locked(struct scripts *s, const char *name, const struct place *place, const char *text,
                      size_t n)
{
    int r = scripts_have_space(s, name, n);

    if (r == 0)
        r = remove_file(s, buf_cstr(&place->base), BYTECODE_SUFFIX);
    if (r == 0)
        r = put_name(s, buf_cstr(&place->base), name);
    if (r == 0)
        r = file_replace(place->path, text, n, 0600);
    return r;
}

int scripts_put(struct scripts *s, const char *name, const char *text, size_t n, struct buf *errors)
{
    struct lock *lock = NULL;
    struct place place;
    int r = place_of(s, name, &place);

    if (r == 0)
        r = scripts_check(text, n, errors);
    if (r == 0)
        r = lock_scripts(s, &lock);
    if (r == 0)
        r = put_locked(s, name, &place, text, n);
    lock_release(&lock);
    place_free(&place);
    return r;
}

/* Makes the link point to a script, as a whole. */
static int point_link(const struct scripts *s, const char *base)
{
    char *link = path_of(s, ACTIVE_LINK, ""), *next = path_of(s, ACTIVE_LINK, ".new"),
         *target = xstrprintf("%s" BYTECODE_SUFFIX, base);
    int r = 0;

    if (unlink(next) < 0 && errno != ENOENT) /* left by a crash; we have the lock */
        r = error_from_errno(errno);
    if (r == 0 && (symlink(target, next) < 0 || rename(next, link) < 0))
        r = error_from_errno(errno);
    if (r == 0)
        r = sync_directory(s);
    free(link);
    free(next);
    free(target);
    return r;
}

static int deactivate(struct scripts *s)
{
    struct lock *lock;
    int r = lock_scripts(s, &lock);

    if (r == 0)
        r = remove_file(s, ACTIVE_LINK, "");
    if (r == 0)
        r = sync_directory(s);
    lock_release(&lock);
    return r;
}

int scripts_activate(struct scripts *s, const char *name)
{
    struct lock *lock = NULL;
    struct place place;
    int r;

    if (*name == '\0')
        return deactivate(s);
    r = place_of(s, name, &place);
    if (r == 0)
        r = lock_scripts(s, &lock);
    if (r == 0)
        r = exists(place.path);
    if (r >= 0)
        r = r > 0 ? point_link(s, buf_cstr(&place.base)) : ERR_NOTFOUND;
    lock_release(&lock);
    place_free(&place);
    return r;
}

/* 1, 0, or an error. */
static int is_active(const struct scripts *s, const char *base)
{
    struct buf active = BUF_INIT;
    int r = script_active_base(buf_cstr(&s->directory), &active);

    if (r == 0)
        r = strcmp(buf_cstr(&active), base) == 0;
    else if (r == ERR_NOTFOUND)
        r = 0;
    buf_free(&active);
    return r;
}

/* The script first: its name may be left over. */
static int remove_script(const struct scripts *s, const char *base)
{
    int r = remove_file(s, base, BYTECODE_SUFFIX);

    if (r == 0)
        r = remove_file(s, base, SCRIPT_SUFFIX);
    if (r == 0 && script_base_is_digest(base))
        r = remove_file(s, base, NAME_SUFFIX);
    return r == 0 ? sync_directory(s) : r;
}

static int delete_locked(const struct scripts *s, const struct place *place)
{
    int r = exists(place->path);

    if (r == 0)
        return ERR_NOTFOUND;
    if (r > 0)
        r = is_active(s, buf_cstr(&place->base));
    if (r > 0)
        return ERR_BUSY;
    return r == 0 ? remove_script(s, buf_cstr(&place->base)) : r;
}

int scripts_delete(struct scripts *s, const char *name)
{
    struct lock *lock = NULL;
    struct place place;
    int r = place_of(s, name, &place);

    if (r == 0)
        r = lock_scripts(s, &lock);
    if (r == 0)
        r = delete_locked(s, &place);
    lock_release(&lock);
    place_free(&place);
    return r;
}

/* Both names for a while: a crash in between leaves two scripts and loses none. */
static int rename_locked(const struct scripts *s, const struct place *from, const struct place *to,
                         const char *to_name)
{
    int r = exists(from->path), active = is_active(s, buf_cstr(&from->base));

    if (r <= 0 || active < 0)
        return r == 0 ? ERR_NOTFOUND : r < 0 ? r : active;
    r = exists(to->path);
    if (r != 0)
        return r > 0 ? ERR_EXISTS : r;
    r = put_name(s, buf_cstr(&to->base), to_name);
    if (r == 0 && link(from->path, to->path) < 0)
        r = error_from_errno(errno);
    if (r == 0)
        r = active ? point_link(s, buf_cstr(&to->base)) : sync_directory(s);
    return r == 0 ? remove_script(s, buf_cstr(&from->base)) : r;
}

int scripts_rename(struct scripts *s, const char *from, const char *to)
{
    struct lock *lock = NULL;
    struct place old = {.base = BUF_INIT}, new = {.base = BUF_INIT};
    int r = place_of(s, from, &old);

    if (r == 0)
        r = place_of(s, to, &new);
    if (r == 0)
        r = lock_scripts(s, &lock);
    if (r == 0)
        r = rename_locked(s, &old, &new, to);
    lock_release(&lock);
    place_free(&old);
    place_free(&new);
    return r;
}

/* ---- new users ---- */

#define AUTOCREATED "autocreated"

static int put_first(struct scripts *s, const char *text, size_t n, struct buf *errors)
{
    struct pool *pool = pool_new(0);
    struct script_info *list;
    size_t count;
    int r = scripts_list(s, pool, &list, &count);

    if (r == 0 && count == 0) {
        r = scripts_put(s, AUTOCREATED, text, n, errors);
        if (r == 0)
            r = scripts_activate(s, AUTOCREATED);
    }
    pool_free(&pool);
    return r;
}

int scripts_autocreate(const struct name_config *config, const char *userid)
{
    const char *file = opt_string(OPT_AUTOCREATE_SIEVE_SCRIPT);
    struct buf text = BUF_INIT, errors = BUF_INIT;
    struct scripts *s = NULL;
    int r;

    if (file == NULL || opt_switch(OPT_SIEVEUSEHOMEDIR))
        return 0;
    r = file_read_all(file, SIEVE_SCRIPT_MAX, &text);
    if (r == 0)
        r = scripts_open(config, userid, &s);
    if (r == 0)
        r = put_first(s, buf_cstr(&text), text.len, &errors);
    if (r < 0)
        LOG(LOG_ERR, SIEVE_AUTOCREATE, LOG_STR(USER, userid), LOG_STR(FILE, file), LOG_ERROR(r),
            LOG_STR(TEXT, buf_cstr(&errors)));
    scripts_close(&s);
    buf_free(&text);
    buf_free(&errors);
    return r;
}
