/* cyr_expire: removes for good what was expunged or deleted some time ago, expunges what mailboxes are not to keep so
 * long, and forgets old duplicates and tombstones.  Safe while the server runs, and at any moment when it is killed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/lmtp/local/duplicate.h"
#include "imap/store/expunge.h"
#include "imap/store/store.h"
#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/mboxlist/annotations.h"

static const char program[] = "cyr_expire";

enum { NOT_ASKED = -1, BATCH = 64 };

struct request {
    const char *config, *userid, *prefix;
    int64_t forget;   /* -E, seconds ago */
    int64_t expunge;  /* -X */
    int64_t delete;   /* -D */
    int64_t archive;  /* -A */
    bool flags;       /* -t */
    bool keep;        /* -x */
    bool unannotated; /* -a */
    bool verbose;
};

struct expiry {
    const struct request *request;
    int64_t now;
    bool failed;
    uint64_t looked_at, messages, flags, deleted;
};

static void complain(struct expiry *e, const char *what, int error, const char *text)
{
    fprintf(stderr, "%s: %s: %s\n", program, what, text != NULL && *text != '\0' ? text : error_text(error));
    e->failed = true;
}

/* ---- -D ---- */

static int remove_mailbox(struct mboxop_env *env, const char *name, struct expiry *e)
{
    struct mboxop *op = mboxop_delete(env, name, MBOXOP_DELETE_NOW);
    struct buf text = BUF_INIT;
    int r = mboxop_run(&op, &text);

    if (r == 0)
        e->deleted++;
    if (r == 0 && e->request->verbose)
        fprintf(stderr, "%s: removed\n", name);
    if (r != 0 && r != ERR_NOTFOUND) /* somebody else was first */
        complain(e, name, r, buf_cstr(&text));
    buf_free(&text);
    return r;
}

static int remove_if_old(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct expiry *e = context;
    struct buf former = BUF_INIT;
    int64_t when;
    bool is = mboxname_from_deleted(env->config, record->name, &former, &when);
    int r = 0;

    if (is && when <= e->now - e->request->delete)
        r = remove_mailbox(env, record->name, e);
    buf_free(&former);
    return r == ERR_UNAVAILABLE ? r : 0; /* without the master none of the others would go either */
}

static int each(struct mboxop_env *env, struct expiry *e,
                int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context))
{
    if (e->request->prefix != NULL)
        return tool_each_prefix(env, e->request->prefix, fn, e);
    return tool_each_local(env, e->request->userid, fn, e);
}

static void expire_deleted(struct mboxop_env *env, struct expiry *e)
{
    int r;

    if (tool_wait_master(program, env) != 0) {
        e->failed = true;
        return;
    }
    r = each(env, e, remove_if_old);
    if (r != 0 && r != ERR_UNAVAILABLE)
        complain(e, "the mailbox list", r, NULL);
}

/* ---- the annotation expire ---- */

/* The nearest that says how long messages are kept: the mailbox's, that of one above it, the server's.  False: none does,
 * or it says for ever (0). */
static bool kept_for(struct mboxop_env *env, const char *name, int64_t *seconds_r)
{
    struct buf at = BUF_INIT, parent = BUF_INIT;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct annotation found;
    int64_t ms = 0;
    int r;

    buf_puts(&at, name);
    do {
        r = mboxlist_lookup(env->list, buf_cstr(&at), pool, &record);
        if (r == 0)
            r = annotation_get(env->list, record.id, "", ANNOTATION_EXPIRE, pool, &found);
        buf_reset(&parent);
        if (r == ERR_NOTFOUND && !mboxname_parent(buf_cstr(&at), &parent))
            break;
        buf_reset(&at);
        buf_append(&at, parent.data, parent.len);
    } while (r == ERR_NOTFOUND);
    if (r == ERR_NOTFOUND)
        r = annotation_get(env->list, "", "", ANNOTATION_EXPIRE, pool, &found);
    if (r == 0 && option_parse_duration(found.value, "d", &ms) != 0)
        ms = 0;
    pool_free(&pool);
    buf_free(&at);
    buf_free(&parent);
    *seconds_r = ms / 1000;
    return ms > 0;
}

static bool is_old(const struct mailbox_record *r, int64_t before)
{
    int64_t date = opt_switch(OPT_EXPIRE_BY_SAVEDATE) ? r->save_date : r->sent_date;

    if ((r->system & RECORD_EXPUNGED) != 0 ||
        (opt_switch(OPT_EXPIRE_KEEP_FLAGGED) && (r->system & RECORD_FLAGGED) != 0))
        return false;
    return date <= before;
}

/* Expunges what is older than it is to be; unexpunge can bring it back as any other. */
static int expunge_old(struct mailbox *mailbox, int64_t before, uint32_t *expunged_r)
{
    struct uid_set old = UID_SET_INIT;
    struct mailbox_record batch[BATCH];
    uint32_t records = mailbox_header(mailbox)->records;
    int r = 0;

    for (uint32_t at = 0; r == 0 && at < records; at += BATCH) {
        uint32_t n = records - at < BATCH ? records - at : BATCH;

        r = mailbox_read_records(mailbox, at, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++) {
            if (!is_old(&batch[i], before))
                continue;
            r = uid_set_add(&old, batch[i].uid, batch[i].uid);
            ++*expunged_r;
        }
    }
    if (r == 0 && *expunged_r > 0)
        r = expunge_uids(mailbox, &old, NULL);
    uid_set_free(&old);
    return r;
}

static int expire_mailbox(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct expiry *e = context;
    struct mailbox *mailbox;
    uint32_t expunged = 0;
    int64_t seconds;
    int r;

    if (mboxname_is_deleted(env->config, record->name) || !kept_for(env, record->name, &seconds))
        return 0;
    r = mailbox_open(env->store, record->partition, record->id, &mailbox);
    if (r == 0) {
        r = expunge_old(mailbox, e->now - seconds, &expunged);
        mailbox_close(&mailbox);
    }
    if (r == 0 && e->request->verbose && expunged > 0)
        fprintf(stderr, "%s: %" PRIu32 " messages expired\n", record->name, expunged);
    if (r != 0 && r != ERR_NOTFOUND)
        complain(e, record->name, r, NULL);
    return 0;
}

static void expire_annotated(struct mboxop_env *env, struct expiry *e)
{
    int r = each(env, e, expire_mailbox);

    if (r != 0)
        complain(e, "the mailbox list", r, NULL);
}

/* ---- -X, -t ---- */

static int clean(struct mailbox *mailbox, struct expiry *e, uint32_t *messages_r, uint32_t *flags_r)
{
    int r = 0;

    if (e->request->expunge != NOT_ASKED && mailbox_header(mailbox)->expunged > 0)
        r = mailbox_compact(mailbox, e->now - e->request->expunge, messages_r);
    if (r == 0 && e->request->flags)
        r = mailbox_drop_flags(mailbox, flags_r);
    return r;
}

static int clean_mailbox(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct expiry *e = context;
    struct mailbox *mailbox;
    uint32_t messages = 0, flags = 0;
    int r = mailbox_open(env->store, record->partition, record->id, &mailbox);

    if (r == 0) {
        r = clean(mailbox, e, &messages, &flags);
        mailbox_close(&mailbox);
        e->looked_at++;
    }
    e->messages += messages;
    e->flags += flags;
    if (e->request->verbose && (messages > 0 || flags > 0))
        fprintf(stderr, "%s: %" PRIu32 " messages, %" PRIu32 " flags removed\n", record->name, messages,
                flags);
    if (r != 0 && r != ERR_NOTFOUND)
        complain(e, record->name, r, NULL);
    return 0;
}

static void expire_messages(struct mboxop_env *env, struct expiry *e)
{
    int r = each(env, e, clean_mailbox);

    if (r != 0)
        complain(e, "the mailbox list", r, NULL);
    if (r == 0 && e->request->verbose)
        fprintf(stderr, "%" PRIu64 " messages and %" PRIu64 " flags removed from %" PRIu64 " mailboxes\n",
                e->messages, e->flags, e->looked_at);
}

/* ---- -E ---- */

static void forget(struct mboxop_env *env, struct expiry *e)
{
    int64_t before = e->now - e->request->forget;
    int marks = duplicate_expire(store_volatile(env->store), before);
    int tombstones = mboxlist_tombstones_expire(env->list, before);

    if (marks < 0)
        complain(e, "the duplicate database", marks, NULL);
    if (tombstones < 0)
        complain(e, "the mailbox list", tombstones, NULL);
    if (e->request->verbose && marks >= 0 && tombstones >= 0)
        fprintf(stderr, "%d duplicate marks and %d tombstones forgotten\n", marks, tombstones);
}

/* ---- */

static int expire(struct mboxop_env *env, const struct request *request)
{
    struct expiry e = {.request = request, .now = clock_wall()};
    struct buf inbox = BUF_INIT;

    if (!tool_has_store(program, env))
        return 0;
    if (request->userid != NULL && mboxname_inbox(env->config, request->userid, &inbox) != 0) {
        fprintf(stderr, "%s: no user: %s\n", program, request->userid);
        return EX_NOUSER;
    }
    buf_free(&inbox);
    if (request->delete != NOT_ASKED)
        expire_deleted(env, &e);
    if (request->delete != NOT_ASKED && request->verbose)
        fprintf(stderr, "%" PRIu64 " deleted mailboxes removed\n", e.deleted);
    if (!request->unannotated && (request->forget != NOT_ASKED || request->expunge != NOT_ASKED))
        expire_annotated(env, &e);
    if (request->expunge != NOT_ASKED || request->flags)
        expire_messages(env, &e);
    if (request->forget != NOT_ASKED && request->userid == NULL && request->prefix == NULL)
        forget(env, &e);
    if (request->archive != NOT_ASKED && request->verbose)
        fprintf(stderr, "no archive partitions: nothing to archive\n");
    return e.failed ? EX_TEMPFAIL : 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-E duration] [-X duration] [-D duration] [-A duration] [-t]\n"
            "       [-a] [-c] [-x] [-u user] [-p prefix] [-v]\n"
            "  at least one of -E, -X, -D, -A and -t\n",
            program);
    return EX_USAGE;
}

/* 0, or what to exit with. */
static int parse(int argc, char **argv, struct request *request)
{
    bool good = true, asked = false;
    int c;

    while ((c = getopt(argc, argv, "C:E:X:D:A:tacxu:p:v")) != -1) {
        asked |= c == 'E' || c == 'X' || c == 'D' || c == 'A' || c == 't';
        if (c == 'C')
            request->config = optarg;
        else if (c == 'E')
            good &= tool_duration(program, optarg, &request->forget);
        else if (c == 'X')
            good &= tool_duration(program, optarg, &request->expunge);
        else if (c == 'D')
            good &= tool_duration(program, optarg, &request->delete);
        else if (c == 'A')
            good &= tool_duration(program, optarg, &request->archive);
        else if (c == 'u')
            request->userid = optarg;
        else if (c == 'p')
            request->prefix = optarg;
        else if (c == 't')
            request->flags = true;
        else if (c == 'x')
            request->keep = true;
        else if (c == 'v')
            request->verbose = true;
        else if (c == 'a')
            request->unannotated = true;
        else if (c != 'c') /* there are no conversations */
            return usage();
    }
    if (!asked || optind != argc || (request->userid != NULL && request->prefix != NULL))
        return usage();
    if (request->keep)
        request->expunge = NOT_ASKED;
    return good ? 0 : EX_USAGE;
}

int main(int argc, char **argv)
{
    struct request request = {
        .forget = NOT_ASKED, .expunge = NOT_ASKED, .delete = NOT_ASKED, .archive = NOT_ASKED};
    struct mboxop_env env;
    int status = parse(argc, argv, &request);

    if (status == 0)
        status = tool_start(program, request.config);
    if (status != 0)
        return status;
    status = tool_open(program, request.delete != NOT_ASKED, &env);
    if (status == 0)
        status = expire(&env, &request);
    tool_close(&env);
    return status;
}
