#include "imap/tools/discover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imap/store/listed.h"
#include "imap/store/recover.h"
#include "imap/tools/directories.h"
#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { STAMPS = 1000 /* of names in the DELETED hierarchy, that are tried */ };

/* A directory that is no mailbox's of the list. */
struct lost {
    const char *partition, *path, *id;
    const char *name; /* NULL: not known */
    bool whole;       /* its index can be used as it is */
};

struct gathering {
    struct discovery *d;
    struct pool *pool;
    struct lost *lost;
    size_t count;
    int error;
};

static void complain(struct discovery *d, const char *what, int error)
{
    fprintf(stderr, "%s: %s: %s\n", d->program, what, error_text(error));
    d->failed = true;
}

/* ---- what is there ---- */

/* 1: it is lost, and described; 0: nothing to bring back; or an error of the list. */
static int describe(struct discovery *d, const char *partition, const char *path, const char *id,
                    struct pool *pool, struct lost *lost_r)
{
    struct mboxlist_record record;
    struct mailbox_listed listed;
    struct mailbox_header header;
    int r = mboxlist_lookup_id(d->env->list, id, pool, &record);

    if (r != ERR_NOTFOUND)
        return r < 0 ? r : 0;
    r = mailbox_listed_read(d->env->store, partition, id, pool, &listed, &header);
    if (r != 0 && mailbox_has_files(d->env->store, partition, id) != 1)
        return 0; /* of a deletion that was cut off, or going on */
    *lost_r = (struct lost){
        .partition = pool_strdup(pool, partition),
        .path = pool_strdup(pool, path),
        .id = pool_strdup(pool, id),
        .name = listed.name,
        .whole = r == 0 && strcmp(header.unique_id, id) == 0,
    };
    return 1;
}

static int gather(const char *partition, const char *path, const char *id, void *context)
{
    struct gathering *g = context;
    struct lost lost;
    int r = describe(g->d, partition, path, id, g->pool, &lost);

    if (r == 1) {
        g->lost = xreallocarray(g->lost, g->count + 1, sizeof(*g->lost));
        g->lost[g->count++] = lost;
    }
    return r < 0 ? r : 0;
}

/* Parents first; what has no name last. */
static int by_name(const void *a, const void *b)
{
    const struct lost *x = a, *y = b;
    int order = 0;

    if (x->name == NULL || y->name == NULL)
        order = (x->name == NULL) - (y->name == NULL);
    else
        order = mboxlist_name_compare(x->name, y->name);
    return order != 0 ? order : strcmp(x->id, y->id);
}

/* ---- bringing back ---- */

/* Of a mailbox whose name another has meanwhile: the next that may be free; false: there is none. */
static bool next_name(struct discovery *d, const struct lost *lost, unsigned tries, struct buf *name)
{
    struct buf former = BUF_INIT;
    int64_t stamp;
    bool ok;

    buf_reset(name);
    if (mboxname_from_deleted(d->env->config, lost->name, &former, &stamp)) {
        ok = tries <= STAMPS &&
             mboxname_to_deleted(d->env->config, buf_cstr(&former), stamp + tries, name) == 0;
    } else {
        buf_printf(name, "%s.recovered-%s", lost->name, lost->id);
        ok = tries == 1;
    }
    buf_free(&former);
    return ok;
}

/* An index that cannot be used, or is not there, is made anew from the message files. */
static int make_whole(struct discovery *d, const struct lost *lost)
{
    struct reconstruct_report report;
    uint32_t uidvalidity;
    int r = lost->whole || d->afresh ? 0 : tool_new_uidvalidity(d->env, &uidvalidity);

    if (r == 0 && !lost->whole && !d->afresh)
        r = mailbox_reconstruct(d->env->store, lost->partition, lost->id, uidvalidity, &report);
    return r;
}

/* -x: a new mailbox gets the messages; the old directory goes when it has them. */
static int make_afresh(struct discovery *d, const struct lost *lost, const char *name, struct buf *why)
{
    struct pool *pool = pool_new(0);
    struct mboxop *op = mboxop_create(d->env, name, lost->partition, NULL, NULL, 0, NULL);
    struct reconstruct_report report;
    struct mboxlist_record record;
    int r = mboxop_run(&op, why);

    if (r == 0)
        r = mboxlist_lookup(d->env->list, name, pool, &record);
    if (r == 0)
        r = mailbox_take_files(d->env->store, record.partition, record.id, lost->path, &report);
    if (r == 0)
        r = mailbox_delete(d->env->store, lost->partition, lost->id);
    pool_free(&pool);
    return r;
}

static int add(struct discovery *d, const struct lost *lost, const char *name, struct buf *why)
{
    struct mboxop *op;

    buf_reset(why);
    if (d->afresh)
        return make_afresh(d, lost, name, why);
    op = mboxop_adopt(d->env, name, lost->partition, lost->id);
    return mboxop_run(&op, why);
}

static void bring_back(struct discovery *d, const struct lost *lost, struct pool *pool)
{
    const char *shown = tool_external(d->env, lost->name, pool);
    struct buf name = BUF_INIT, why = BUF_INIT;
    int r = make_whole(d, lost);

    buf_puts(&name, lost->name);
    if (r == 0)
        r = add(d, lost, buf_cstr(&name), &why);
    for (unsigned tries = 1; r == ERR_EXISTS && next_name(d, lost, tries, &name); tries++) {
        if (tries == 1)
            printf("%s: another mailbox has that name now\n", shown);
        r = add(d, lost, buf_cstr(&name), &why);
    }
    if (r == 0)
        printf("%s: added to the list, from %s\n", tool_external(d->env, buf_cstr(&name), pool), lost->path);
    else if (r != ERR_NOTFOUND) { /* else it has gone, or is not lost any more */
        fprintf(stderr, "%s: %s: %s (%s)\n", d->program, shown, why.len > 0 ? buf_cstr(&why) : error_text(r),
                lost->path);
        d->failed = true;
    }
    buf_free(&name);
    buf_free(&why);
}

static void take(struct discovery *d, const struct lost *lost)
{
    struct pool *pool = pool_new(0);

    if (lost->name == NULL) {
        printf("%s: in no mailbox of the list, and its name is not known: reconstruct -f -P %s=MAILBOX\n",
               lost->path, lost->path);
        d->unsound = true;
        d->failed |= d->all && !d->dry;
    } else if (d->wanted == NULL || d->wanted(lost->name, d->context)) {
        d->found++;
        d->unsound = true;
        if (d->dry)
            printf("%s: not in the list, in %s\n", tool_external(d->env, lost->name, pool), lost->path);
        else
            bring_back(d, lost, pool);
    }
    pool_free(&pool);
}

void discover_all(struct discovery *d, const char *partition)
{
    struct gathering g = {.d = d, .pool = pool_new(0)};
    int r = directories_each(partition, gather, &g);

    if (r < 0)
        complain(d, "the mailbox list", r);
    if (g.count > 0)
        qsort(g.lost, g.count, sizeof(*g.lost), by_name);
    for (size_t i = 0; r == 0 && i < g.count; i++)
        take(d, &g.lost[i]);
    free(g.lost);
    pool_free(&g.pool);
}

/* ---- one ---- */

struct place {
    const char *path;
    struct pool *pool;
    const char *partition, *id; /* NULL: not found */
};

static int is_place(const char *partition, const char *path, const char *id, void *context)
{
    struct place *place = context;

    if (!directories_same(path, place->path))
        return 0;
    place->partition = pool_strdup(place->pool, partition);
    place->path = pool_strdup(place->pool, path);
    place->id = pool_strdup(place->pool, id);
    return 1;
}

void discover_path(struct discovery *d, const char *path, const char *name)
{
    struct pool *pool = pool_new(0);
    struct place place = {.path = path, .pool = pool};
    struct lost lost;
    int r = directories_each(NULL, is_place, &place);

    if (r == 0) {
        fprintf(stderr, "%s: %s: not the place of a mailbox on a partition of this server\n", d->program,
                path);
        d->failed = true;
    } else {
        r = describe(d, place.partition, place.path, place.id, pool, &lost);
        if (r < 0)
            complain(d, path, r);
        if (r == 1 && name != NULL)
            lost.name = name;
        if (r == 1)
            take(d, &lost);
    }
    pool_free(&pool);
}
