#include "imap/mboxop/push.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"

enum {
    RUN_MAX = 256, /* names of one tree that are pushed at a time */
    LIST_WAIT_MS = 30 * 60 * 1000,
    REMOVE_ALWAYS = 20 /* names that may go, whatever share of the list they are */
};

/* ---- the names that the master has as we have them: their hashes, sorted ---- */

struct known {
    uint64_t seed, *hashes;
    size_t count, room;
};

static uint64_t hash_of(const struct known *known, const char *name)
{
    uint64_t h = 14695981039346656037u ^ known->seed; /* FNV-1a */

    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return h;
}

static void know(struct known *known, const char *name)
{
    if (known->count == known->room) {
        known->room = known->room == 0 ? 1024 : 2 * known->room;
        known->hashes = xreallocarray(known->hashes, known->room, sizeof(*known->hashes));
    }
    known->hashes[known->count++] = hash_of(known, name);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static bool is_known(const struct known *known, const char *name)
{
    uint64_t h = hash_of(known, name);

    return known->count > 0 &&
           bsearch(&h, known->hashes, known->count, sizeof(*known->hashes), by_value) != NULL;
}

/* ---- a push ---- */

struct push {
    const struct mboxop_env *env;
    const struct push_options *options;
    uint64_t counts[PUSH_FINDINGS];
    struct pool *pool;
    struct known known;
    const char **there; /* names that only the master has */
    size_t there_count, there_room;
    uint64_t total, gone;     /* active names that the master has as ours; of them those that are not here */
    const char *run[RUN_MAX]; /* names of one tree that differ */
    size_t run_count;
    struct pool *run_pool;
    struct buf root; /* of the run */
    int trouble;     /* something was left out: push again */
};

static bool may(struct push *push, enum push_finding finding, const char *name, const char *location)
{
    return push->options->ask == NULL || push->options->ask(finding, name, location, push->options->context);
}

/* Without the master nothing goes on; any other trouble is of these names alone. */
static int bear(struct push *push, int r)
{
    if (r != 0 && push->trouble == 0)
        push->trouble = r;
    return r == ERR_UNAVAILABLE ? r : 0;
}

static void report(struct push *push, enum push_finding finding, const char *name, const char *location,
                   int result)
{
    push->counts[finding]++;
    if (push->options->report != NULL)
        push->options->report(finding, name, location, result, push->options->context);
}

/* ---- what the master has as ours ---- */

/* Has our list the name, and as the master has it?  1; 0: otherwise; ERR_NOTFOUND. */
static int compare(struct push *push, const struct mupdate_entry *entry)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    struct buf location = BUF_INIT;
    int r = mboxlist_lookup(push->env->list, entry->name, pool, &record);

    if (r == 0 && record.type == MBOXLIST_LOCAL) {
        mboxlist_record_location(&record, push->env->server, &location);
        r = entry->state == MUPDATE_ACTIVE && strcmp(location.data, entry->location) == 0 &&
            strcmp(record.acl, entry->acl) == 0 &&
            (entry->details == NULL || (strcmp(record.id, entry->details->id) == 0 &&
                                        strcmp(record.special_use, entry->details->special_use) == 0));
    } else if (r == 0) {
        r = ERR_NOTFOUND;
    }
    buf_free(&location);
    pool_free(&pool);
    return r;
}

/* By the link's thread, while ours waits. */
static int take_entry(const struct mupdate_entry *entry, void *context)
{
    struct push *push = context;
    int r = compare(push, entry);

    push->total += entry->state == MUPDATE_ACTIVE;
    push->gone += entry->state == MUPDATE_ACTIVE && r == ERR_NOTFOUND;
    if (r == 1)
        know(&push->known, entry->name);
    if (r != ERR_NOTFOUND)
        return 0;
    if (push->there_count == push->there_room) {
        push->there_room = push->there_room == 0 ? 64 : 2 * push->there_room;
        push->there = xreallocarray(push->there, push->there_room, sizeof(*push->there));
    }
    push->there[push->there_count++] = pool_strdup(push->pool, entry->name);
    return 0;
}

static int list_master(struct push *push)
{
    const char *prefix = pool_printf(push->pool, "%s!", push->env->server);
    int r;

    digest_random(&push->known.seed, sizeof(push->known.seed));
    r = mupdate_list(push->env->link, prefix, take_entry, push, clock_deadline(LIST_WAIT_MS));
    if (push->known.count > 0)
        qsort(push->known.hashes, push->known.count, sizeof(*push->known.hashes), by_value);
    return r;
}

/* ---- only there: removed there, unless it has come to be here meanwhile ---- */

static int withdraw_prepare(struct mboxop *op)
{
    op_add_change(op)->old_name = op->name;
    return 0;
}

static const enum op_stage withdraw_plan[] = {STAGE_CONNECT, STAGE_LOCK,   STAGE_LEFT, STAGE_PREPARE,
                                              STAGE_FIND,    STAGE_DELETE, STAGE_DONE};

static const struct op_kind op_withdraw = {
    .name = "withdraw",
    .plan = withdraw_plan,
    .prepare = withdraw_prepare,
};

static int withdraw(struct push *push, const char *name)
{
    struct mboxop *op;
    int r = 0;

    if (!push->options->show_only) {
        if (!may(push, PUSH_ONLY_THERE, name, push->env->server))
            return 0;
        op = op_new(push->env, &op_withdraw, name, NULL);
        r = mboxop_run(&op, NULL);
    }
    report(push, PUSH_ONLY_THERE, name, push->env->server, r);
    return bear(push, r);
}

/* ---- only here, or different ---- */

/* The names of the run that are still here, as they are now, under the tree's lock. */
static int look_prepare(struct mboxop *op)
{
    size_t n = op->change_count, kept = 0;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        const char *name = op->changes[i].new_name;
        struct mboxlist_record record;
        struct change *c;

        r = mboxlist_lookup(op->env->list, name, op->pool, &record);
        if (r == 0 && record.type == MBOXLIST_LOCAL && (record.flags & MBOXLIST_MOVING) == 0) {
            c = &op->changes[kept++];
            memset(c, 0, sizeof(*c));
            c->new_name = name;
            c->partition = record.partition;
            c->acl = record.acl;
        }
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    op->change_count = kept;
    return r;
}

static const enum op_stage look_plan[] = {STAGE_CONNECT, STAGE_LOCK, STAGE_LEFT,
                                          STAGE_PREPARE, STAGE_SEEK, STAGE_DONE};
static const enum op_stage push_plan[] = {STAGE_CONNECT, STAGE_LOCK,     STAGE_LEFT, STAGE_PREPARE,
                                          STAGE_SEEK,    STAGE_ACTIVATE, STAGE_DONE};

static const struct op_kind op_look = {.name = "look", .plan = look_plan, .prepare = look_prepare};
static const struct op_kind op_push = {.name = "push", .plan = push_plan, .prepare = look_prepare};

/* Runs to the end without freeing. */
static int run_through(struct mboxop *op)
{
    enum mboxop_verdict verdict;

    while ((verdict = mboxop_step(op)) != MBOXOP_DONE)
        if (verdict == MBOXOP_WAIT)
            op_wait(op);
    return mboxop_result(op);
}

/* Pushes, or just looks at, the names of the run. */
static int start_run(struct push *push, const struct op_kind *kind, struct mboxop **op_r)
{
    *op_r = op_new(push->env, kind, push->run[0], NULL);
    for (size_t i = 0; i < push->run_count; i++)
        op_add_change(*op_r)->new_name = pool_strdup((*op_r)->pool, push->run[i]);
    return run_through(*op_r);
}

/* A mailbox that is active elsewhere. */
static int resolve(struct push *push, const struct mboxop *pushed, const struct change *c)
{
    struct mboxop *op;
    int r;

    if (push->options->authoritative) {
        const char *location = pool_printf(pushed->pool, "%s!%s", push->env->server, c->partition);

        r = mupdate_call(push->env->link, MUPDATE_ACTIVATE, c->new_name, location, c->acl,
                         clock_deadline(ANSWER_WAIT_MS), NULL);
    } else {
        op = mboxop_delete(push->env, c->new_name, MBOXOP_SET_ASIDE);
        r = mboxop_run(&op, NULL);
    }
    report(push, PUSH_ELSEWHERE, c->new_name, c->elsewhere, r);
    return bear(push, r);
}

static int finish_run(struct push *push, const struct mboxop *pushed)
{
    int r = 0;

    for (size_t i = 0; i < pushed->change_count && r == 0; i++) {
        const struct change *c = &pushed->changes[i];

        if (c->elsewhere == NULL)
            report(push, PUSH_ONLY_HERE, c->new_name, "", 0);
        else
            r = resolve(push, pushed, c);
    }
    return r;
}

/* Keeps in the run what may be done; with show_only nothing. */
static int ask_run(struct push *push)
{
    struct mboxop *looked;
    int r = start_run(push, &op_look, &looked);

    push->run_count = 0;
    for (size_t i = 0; i < looked->change_count && r == 0; i++) {
        const struct change *c = &looked->changes[i];
        enum push_finding finding = c->elsewhere != NULL ? PUSH_ELSEWHERE : PUSH_ONLY_HERE;
        const char *location = c->elsewhere != NULL ? c->elsewhere : "";

        if (push->options->show_only)
            report(push, finding, c->new_name, location, 0);
        else if (may(push, finding, c->new_name, location))
            push->run[push->run_count++] = pool_strdup(push->run_pool, c->new_name);
    }
    mboxop_free(&looked);
    return r;
}

static int flush_run(struct push *push)
{
    struct mboxop *pushed;
    int r = 0;

    if (push->run_count > 0 && (push->options->show_only || push->options->ask != NULL))
        r = ask_run(push);
    if (r == 0 && push->run_count > 0) {
        r = start_run(push, &op_push, &pushed);
        if (r == 0)
            r = finish_run(push, pushed);
        mboxop_free(&pushed);
    }
    push->run_count = 0;
    pool_reset(push->run_pool);
    return bear(push, r);
}

static int add_to_run(struct push *push, const char *name)
{
    struct buf root = BUF_INIT;
    int r = 0;

    tree_root(push->env->config, name, &root);
    if (push->run_count == RUN_MAX || strcmp(buf_cstr(&root), buf_cstr(&push->root)) != 0)
        r = flush_run(push);
    buf_free(&push->root);
    push->root = root;
    push->run[push->run_count++] = pool_strdup(push->run_pool, name);
    return r;
}

static int push_ours(struct push *push)
{
    struct mboxlist_iter *it = mboxlist_iter_all(push->env->list, "", MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int r = 0;

    while (r == 0 && (r = mboxlist_iter_next(it, &record)) == 1)
        r = (record->flags & MBOXLIST_MOVING) != 0 || is_known(&push->known, record->name)
                ? 0 /* a move between servers ends what it has begun itself */
                : add_to_run(push, record->name);
    mboxlist_iter_free(&it);
    return r == 0 ? flush_run(push) : r;
}

/* ---- a server that was renamed ----
 *
 * To the master every mailbox of it is then another server's, and all would be set aside.  So the name under
 * which the list was last pushed is kept in <configdirectory>/mupdate.servername. */

enum { SERVERNAME_MAX = 1024 };

/* A list that was lost or restored from long ago must not be what the master believes.  Who is asked about each name
 * (-i) may do it. */
static int check_shrunk(const struct push *push)
{
    int64_t most = opt_int(OPT_MUPDATE_REMOVE_MAX);

    if (push->options->show_only || push->options->ask != NULL || push->gone <= REMOVE_ALWAYS ||
        most >= 100 || push->gone * 100 <= push->total * (uint64_t)(most < 0 ? 0 : most))
        return 0;
    LOG(LOG_ERR, MBOXOP_SHRUNK, LOG_INT(COUNT, push->gone), LOG_INT(TOTAL, push->total));
    return ERR_LIMIT;
}

static int check_servername(const struct mboxop_env *env, const struct push_options *options)
{
    struct buf path = BUF_INIT, before = BUF_INIT;
    int r;

    config_path(&path, "mupdate.servername");
    r = file_read_all(buf_cstr(&path), SERVERNAME_MAX, &before);
    if (r == 0 && strcmp(buf_cstr(&before), env->server) != 0) {
        LOG(LOG_ERR, MBOXOP_SERVERNAME, LOG_STR(SERVER, env->server), LOG_STR(VALUE, buf_cstr(&before)),
            LOG_STR(FILE, buf_cstr(&path)));
        r = ERR_CONFIG;
    } else if (r == ERR_NOTFOUND) {
        r = options->show_only
                ? 0
                : file_replace(buf_cstr(&path), env->server, strlen(env->server), S_IRUSR | S_IWUSR);
    }
    buf_free(&before);
    buf_free(&path);
    return r;
}

int mboxop_push(const struct mboxop_env *env, const struct push_options *options,
                uint64_t counts_r[PUSH_FINDINGS])
{
    struct push push = {.env = env, .options = options};
    int r;

    if (env->link == NULL)
        return ERR_UNAVAILABLE;
    r = check_servername(env, options);
    if (r < 0)
        return r;
    push.pool = pool_new(0);
    push.run_pool = pool_new(0);
    r = list_master(&push);
    if (r == 0)
        r = check_shrunk(&push);
    for (size_t i = 0; i < push.there_count && r == 0; i++)
        r = withdraw(&push, push.there[i]);
    if (r == 0)
        r = push_ours(&push);
    if (r == 0)
        r = push.trouble;
    if (counts_r != NULL)
        memcpy(counts_r, push.counts, sizeof(push.counts));
    free(push.known.hashes);
    free(push.there);
    buf_free(&push.root);
    pool_free(&push.run_pool);
    pool_free(&push.pool);
    return r;
}

/* ---- the keeper's ---- */

static void log_conflict(enum push_finding finding, const char *name, const char *location, int result,
                         void *context)
{
    (void)context;
    if (finding != PUSH_ELSEWHERE)
        return;
    LOG(LOG_ERR, MBOXOP_ELSEWHERE, LOG_STR(MAILBOX, name), LOG_STR(SERVER, location),
        LOG_STR(ERROR, result != 0 ? error_text(result) : ""));
}

int mboxop_push_quietly(const struct mboxop_env *env, void *context)
{
    const struct push_options options = {.report = log_conflict};
    uint64_t counts[PUSH_FINDINGS];
    int r = mboxop_push(env, &options, counts);

    (void)context;
    if (r == 0 && counts[PUSH_ONLY_HERE] + counts[PUSH_ONLY_THERE] > 0)
        LOG(LOG_NOTICE, MBOXOP_PUSHED, LOG_INT(COUNT, counts[PUSH_ONLY_HERE] + counts[PUSH_ONLY_THERE]));
    return r;
}
