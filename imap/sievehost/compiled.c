#include "imap/sievehost/compiled.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imap/sievehost/files-private.h"
#include "imap/sievehost/language-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/name/scriptdir.h"

/* What a file was when it was compiled: a script is replaced by renaming another file over it. */
struct identity {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

/* Immutable but for `users` and its place in the list, which the mutex guards. */
struct compiled {
    char *path;
    struct identity identity;
    struct sieve_script *script; /* NULL: it does not compile, and these are its errors */
    struct buf errors;
    unsigned users; /* the table is one */
    struct compiled *newer, *older;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct hash *table;               /* path -> struct compiled */
static struct compiled *newest, *oldest; /* asked for */

/* ---- the table, with the mutex held ---- */

static void unlink_one(struct compiled *c)
{
    *(c->newer != NULL ? &c->newer->older : &newest) = c->older;
    *(c->older != NULL ? &c->older->newer : &oldest) = c->newer;
    c->newer = c->older = NULL;
}

static void link_newest(struct compiled *c)
{
    c->older = newest;
    *(newest != NULL ? &newest->newer : &oldest) = c;
    newest = c;
}

static void release(struct compiled *c)
{
    if (--c->users > 0)
        return;
    sieve_script_free(&c->script);
    buf_free(&c->errors);
    free(c->path);
    free(c);
}

static void forget(struct compiled *c)
{
    unlink_one(c);
    hash_delete(table, c->path);
    release(c);
}

static void keep(struct compiled *c)
{
    struct compiled *old;

    if (table == NULL)
        table = hash_new(NULL);
    old = hash_get(table, c->path);
    if (old != NULL)
        forget(old);
    else if (hash_count(table) == COMPILED_MAX)
        forget(oldest);
    c->users++;
    hash_set(table, c->path, c);
    link_newest(c);
}

/* That of the path, if the file is still the same. */
static struct compiled *find(const char *path, const struct identity *identity)
{
    struct compiled *c = table != NULL ? hash_get(table, path) : NULL;

    if (c == NULL || memcmp(&c->identity, identity, sizeof(*identity)) != 0)
        return NULL;
    unlink_one(c);
    link_newest(c);
    c->users++;
    return c;
}

/* ---- compiling ---- */

int compiled_compile(const char *text, size_t n, struct buf *errors, struct sieve_script **script_r)
{
    return sieve_compile_allowed(text, n, language_allows, errors, script_r);
}

static int compile_file(const char *path, const struct identity *identity, struct compiled **compiled_r)
{
    struct buf text = BUF_INIT;
    struct compiled *c;
    int r = file_read_all(path, SIEVE_SCRIPT_MAX, &text);

    if (r < 0) {
        buf_free(&text);
        return r;
    }
    c = xcalloc(1, sizeof(*c));
    c->path = xstrdup(path);
    c->identity = *identity;
    c->users = 1;
    compiled_compile(buf_cstr(&text), text.len, &c->errors, &c->script);
    buf_free(&text);
    *compiled_r = c;
    return 0;
}

/* Zeroed, so that it can be compared as bytes. */
static int identify(const char *path, struct identity *identity)
{
    struct stat st;

    memset(identity, 0, sizeof(*identity));
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND : error_from_errno(errno);
    if (!S_ISREG(st.st_mode))
        return ERR_NOTFOUND;
    identity->dev = st.st_dev;
    identity->ino = st.st_ino;
    identity->size = st.st_size;
    identity->changed.tv_sec = st.st_mtim.tv_sec;
    identity->changed.tv_nsec = st.st_mtim.tv_nsec;
    return 0;
}

int compiled_file(const char *path, struct buf *errors, struct compiled **compiled_r)
{
    struct identity identity;
    struct compiled *c;
    int r = identify(path, &identity);

    *compiled_r = NULL;
    if (r < 0)
        return r;
    pthread_mutex_lock(&mutex);
    c = find(path, &identity);
    pthread_mutex_unlock(&mutex);
    if (c == NULL) {
        r = compile_file(path, &identity, &c);
        if (r < 0)
            return r;
        pthread_mutex_lock(&mutex);
        keep(c);
        pthread_mutex_unlock(&mutex);
    }
    if (c->script == NULL) {
        buf_append(errors, c->errors.data, c->errors.len);
        compiled_release(&c);
        return ERR_SYNTAX;
    }
    *compiled_r = c;
    return 0;
}

const struct sieve_script *compiled_script(const struct compiled *c)
{
    return c->script;
}

void compiled_release(struct compiled **compiled)
{
    if (*compiled == NULL)
        return;
    pthread_mutex_lock(&mutex);
    release(*compiled);
    pthread_mutex_unlock(&mutex);
    *compiled = NULL;
}

void compiled_forget(void)
{
    pthread_mutex_lock(&mutex);
    while (oldest != NULL)
        forget(oldest);
    hash_free(&table);
    pthread_mutex_unlock(&mutex);
}

/* ---- whose ---- */

/* ~user/.sieve, a file (sieveusehomedir). */
static int home_file(const char *userid, struct buf *path)
{
    char space[4096];
    struct passwd entry, *found = NULL;
    int r = getpwnam_r(userid, &entry, space, sizeof(space), &found);

    if (r != 0)
        return error_from_errno(r);
    if (found == NULL)
        return ERR_NOTFOUND;
    buf_printf(path, "%s/.sieve", found->pw_dir);
    return 0;
}

static int active_file(const struct name_config *config, const char *userid, struct buf *path)
{
    struct buf base = BUF_INIT;
    int r;

    if (opt_switch(OPT_SIEVEUSEHOMEDIR))
        return home_file(userid, path);
    r = scriptdir_user(config, userid, path);
    if (r == 0)
        r = script_active_base(buf_cstr(path), &base);
    if (r == 0)
        buf_printf(path, "/%s" SCRIPT_SUFFIX, buf_cstr(&base));
    buf_free(&base);
    return r;
}

int compiled_active(const struct name_config *config, const char *userid, struct buf *errors,
                    struct compiled **compiled_r)
{
    struct buf path = BUF_INIT;
    int r = active_file(config, userid, &path);

    *compiled_r = NULL;
    if (r == 0)
        r = compiled_file(buf_cstr(&path), errors, compiled_r);
    buf_free(&path);
    return r;
}

int compiled_named(const struct name_config *config, const char *userid, const char *name, bool global,
                   struct buf *errors, struct compiled **compiled_r)
{
    struct buf path = BUF_INIT;
    int r = (global ? scriptdir_global : scriptdir_user)(config, userid, &path);

    *compiled_r = NULL;
    if (r == 0) {
        buf_putc(&path, '/');
        script_base(name, &path);
        buf_puts(&path, SCRIPT_SUFFIX);
        r = compiled_file(buf_cstr(&path), errors, compiled_r);
    }
    buf_free(&path);
    return r;
}
