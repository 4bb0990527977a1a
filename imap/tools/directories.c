#include "imap/tools/directories.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imap/store/mailbox.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"

enum { DEPTH = 2 /* of hashed directories above a mailbox's */ };

struct walk {
    const char *prefix, *only, *partition, *root;
    int (*fn)(const char *partition, const char *path, const char *id, void *context);
    void *context;
    struct stat *seen; /* roots */
    size_t seen_count;
    int r;
};

bool directories_same(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_hashed(const char *name)
{
    return strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
}

/* Is that where a mailbox with this id has to be? */
static bool is_place(const struct walk *w, const char *path, const char *id)
{
    struct buf place = BUF_INIT;
    bool is = mailbox_dir_under(w->root, id, &place) == 0 && strcmp(buf_cstr(&place), path) == 0;

    buf_free(&place);
    return is;
}

static int below(struct walk *w, struct buf *path, unsigned depth)
{
    size_t len = path->len;
    DIR *d = opendir(buf_cstr(path));
    struct dirent *e;
    int r = 0;

    while (r == 0 && d != NULL && (e = readdir(d)) != NULL) {
        if (depth < DEPTH ? !is_hashed(e->d_name) : !mailbox_id_valid(e->d_name))
            continue;
        buf_printf(path, "/%s", e->d_name);
        if (depth < DEPTH)
            r = below(w, path, depth + 1);
        else if (is_place(w, buf_cstr(path), e->d_name))
            r = w->fn(w->partition, buf_cstr(path), e->d_name, w->context);
        buf_truncate(path, len);
    }
    if (d != NULL)
        closedir(d);
    return r;
}

static bool was_seen(struct walk *w)
{
    struct stat st;

    if (stat(w->root, &st) != 0)
        return true;
    for (size_t i = 0; i < w->seen_count; i++)
        if (w->seen[i].st_dev == st.st_dev && w->seen[i].st_ino == st.st_ino)
            return true;
    w->seen = xreallocarray(w->seen, w->seen_count + 1, sizeof(*w->seen));
    w->seen[w->seen_count++] = st;
    return false;
}

static void look(const char *name, const char *root, void *context)
{
    struct walk *w = context;
    struct buf path = BUF_INIT;

    w->partition = name + strlen(w->prefix);
    w->root = root;
    if (w->r != 0 || (w->only != NULL && strcmp(w->only, w->partition) != 0) || was_seen(w))
        return;
    buf_puts(&path, root);
    w->r = below(w, &path, 0);
    buf_free(&path);
}

static int walk(struct walk *w)
{
    config_overflow_each(w->prefix, look, w);
    free(w->seen);
    return w->r;
}

int directories_each(const char *partition,
                     int (*fn)(const char *partition, const char *path, const char *id, void *context),
                     void *context)
{
    struct walk w = {.prefix = "partition-", .only = partition, .fn = fn, .context = context};

    return walk(&w);
}

int directories_each_metadata(int (*fn)(const char *partition, const char *path, const char *id,
                                        void *context),
                              void *context)
{
    struct walk w = {.prefix = "metapartition-", .fn = fn, .context = context};

    return walk(&w);
}
