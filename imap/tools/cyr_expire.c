/* cyr_expire: removes for good what was expunged or deleted some time ago, and forgets old duplicates and
 * tombstones.  Safe while the server runs, and at any moment when it is killed. */
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

static const char program[] = "cyr_expire";

enum { NOT_ASKED = -1 };

struct request {
    const char *config, *userid, *prefix;
    int64_t forget;  /* -E, seconds ago */
    int64_t expunge; /* -X */
    int64_t delete;  /* -D */
    int64_t archive; /* -A */
    bool flags;      /* -t */
    bool keep;       /* -x */
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
        else if (c != 'a' && c != 'c') /* there are neither such annotations nor conversations */
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
