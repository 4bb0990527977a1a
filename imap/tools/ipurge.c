/* ipurge: expunges messages by age or size. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/expunge.h"
#include "imap/store/record.h"
#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/name/wildcard.h"

static const char program[] = "ipurge";

enum { BATCH = 64, DAY = 24 * 60 * 60 };

struct request {
    const char *config;
    bool users, exact, invert, by_arrival, keep_flagged, only_deleted, dry, verbose;
    bool has_days, has_bytes;
    uint64_t days, bytes;
    char **patterns; /* NULL-terminated; none: all */
};

struct counts {
    uint64_t messages, bytes;
};

struct run {
    const struct request *request;
    const char *shown; /* the mailbox at work */
    struct wildcard *pattern;
    int64_t now;
    struct counts all, taken; /* of every mailbox */
    unsigned mailboxes;
    bool failed;
};

/* ---- which messages ---- */

static bool compare(const struct request *q, uint64_t value, uint64_t limit)
{
    if (q->exact)
        return (value == limit) != q->invert;
    return q->invert ? value < limit : value > limit;
}

/* In whole days; one that comes from the future is new. */
static uint64_t age(const struct run *run, const struct mailbox_record *r)
{
    int64_t date = run->request->by_arrival ? r->internal_date : r->sent_date;

    return date < run->now ? (uint64_t)(run->now - date) : 0;
}

static bool goes(const struct run *run, const struct mailbox_record *r)
{
    const struct request *q = run->request;
    uint64_t seconds = age(run, r);

    if ((r->system & RECORD_EXPUNGED) || (q->keep_flagged && (r->system & RECORD_FLAGGED)) ||
        (q->only_deleted && !(r->system & RECORD_DELETED)))
        return false;
    if (q->has_days && q->exact && compare(q, seconds / DAY, q->days))
        return true;
    if (q->has_days && !q->exact && compare(q, seconds, q->days * DAY))
        return true;
    return q->has_bytes && compare(q, r->size, q->bytes);
}

static void count(struct counts *counts, const struct mailbox_record *r)
{
    counts->messages++;
    counts->bytes += r->size;
}

static void take(struct run *run, const struct mailbox_record *r)
{
    count(&run->taken, r);
    if (run->request->dry)
        printf("%s: %" PRIu32 "\n", run->shown, r->uid);
}

static int look(struct run *run, struct mailbox *mailbox, struct uid_set *gone)
{
    struct mailbox_record batch[BATCH];
    uint32_t records = mailbox_header(mailbox)->records;
    int r = 0;

    for (uint32_t at = 0; r == 0 && at < records; at += BATCH) {
        uint32_t n = records - at < BATCH ? records - at : BATCH;

        r = mailbox_read_records(mailbox, at, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++) {
            if (batch[i].system & RECORD_EXPUNGED)
                continue;
            count(&run->all, &batch[i]);
            if (!goes(run, &batch[i]))
                continue;
            take(run, &batch[i]);
            r = uid_set_add(gone, batch[i].uid, batch[i].uid);
        }
    }
    return r;
}

/* ---- a mailbox ---- */

static void tell(const struct counts *all, const struct counts *taken)
{
    const struct {
        const char *label;
        uint64_t value;
    } rows[] = {
        {"Total messages", all->messages},
        {"Total bytes", all->bytes},
        {"Deleted messages", taken->messages},
        {"Deleted bytes", taken->bytes},
        {"Remaining messages", all->messages - taken->messages},
        {"Remaining bytes", all->bytes - taken->bytes},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        printf("%-18s\t\t %" PRIu64 "\n", rows[i].label, rows[i].value);
}

static int purge(struct mboxop_env *env, const struct mboxlist_record *record, struct run *run)
{
    struct uid_set gone = UID_SET_INIT;
    struct mailbox *mailbox;
    int r = mailbox_open(env->store, record->partition, record->id, &mailbox);

    if (r != 0)
        return r;
    run->mailboxes++;
    if (run->request->verbose)
        printf("Working on %s...\n", record->name);
    r = look(run, mailbox, &gone);
    if (r == 0 && gone.count > 0 && !run->request->dry)
        r = expunge_uids(mailbox, &gone, NULL);
    mailbox_close(&mailbox);
    uid_set_free(&gone);
    return r;
}

/* ---- which mailboxes ---- */

static int visit(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct run *run = context;
    struct pool *pool;
    int r;

    if (mboxname_is_deleted(env->config, record->name) ||
        (!run->request->users && mboxname_is_user(record->name)))
        return 0;
    pool = pool_new(0);
    run->shown = tool_external(env, record->name, pool);
    if (run->pattern == NULL || wildcard_match(run->pattern, run->shown, strlen(run->shown))) {
        r = purge(env, record, run);
        if (r != 0 && r != ERR_NOTFOUND) {
            fprintf(stderr, "%s: %s: %s\n", program, run->shown, error_text(r));
            run->failed = true;
        }
    }
    pool_free(&pool);
    return 0;
}

static int each(struct mboxop_env *env, const char *pattern, struct run *run)
{
    int r = pattern != NULL ? wildcard_new(env->config->separator, "", pattern, &run->pattern) : 0;

    if (r == 0)
        r = tool_each_local(env, NULL, visit, run);
    if (r != 0)
        fprintf(stderr, "%s: %s: %s\n", program, pattern != NULL ? pattern : "the mailbox list",
                error_text(r));
    wildcard_free(&run->pattern);
    return r;
}

static int work(struct mboxop_env *env, const struct request *request)
{
    struct run run = {.request = request, .now = clock_wall()};
    int r = 0;

    if (!tool_has_store(program, env))
        return 0;
    if (request->patterns[0] == NULL)
        r = each(env, NULL, &run);
    for (char **p = request->patterns; r == 0 && *p != NULL; p++)
        r = each(env, *p, &run);
    if (run.mailboxes > 0 && !request->dry)
        tell(&run.all, &run.taken);
    return r != 0 || run.failed ? EX_TEMPFAIL : 0;
}

/* ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-f] [-M] [-x] [-i] [-X] [-s] [-o] [-n] [-v]\n"
            "       [-d days] [-b bytes | -k kbytes | -m mbytes] [pattern...]\n"
            "  at least one of -d, -b, -k and -m\n",
            program);
    return EX_USAGE;
}

static bool number(const char *text, uint64_t unit, uint64_t *value_r, bool *has_r)
{
    uint32_t n;

    *has_r = str_parse_u32(text, strlen(text), &n) == 0;
    *value_r = n * unit;
    return *has_r;
}

static bool set_switch(struct request *q, int c)
{
    const struct {
        int option;
        bool *is;
    } switches[] = {
        {'f', &q->users},        {'x', &q->exact},        {'i', &q->invert}, {'X', &q->by_arrival},
        {'s', &q->keep_flagged}, {'o', &q->only_deleted}, {'n', &q->dry},    {'v', &q->verbose},
    };

    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (switches[i].option == c) {
            *switches[i].is = true;
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct request *q)
{
    bool good = true;
    int c;

    while (good && (c = getopt(argc, argv, "C:fxiXsoMnvd:b:k:m:")) != -1) {
        if (c == 'C')
            q->config = optarg;
        else if (c == 'd')
            good = number(optarg, 1, &q->days, &q->has_days);
        else if (c == 'b')
            good = number(optarg, 1, &q->bytes, &q->has_bytes);
        else if (c == 'k')
            good = number(optarg, 1024, &q->bytes, &q->has_bytes);
        else if (c == 'm')
            good = number(optarg, 1024 * 1024, &q->bytes, &q->has_bytes);
        else if (c != 'M') /* a pattern means what it matches, and nothing below that */
            good = set_switch(q, c);
    }
    q->patterns = argv + optind;
    return good && (q->has_days || q->has_bytes);
}

int main(int argc, char **argv)
{
    struct request request = {.config = NULL};
    struct mboxop_env env;
    int status;

    if (!parse(argc, argv, &request))
        return usage();
    status = tool_start(program, request.config);
    if (status != 0)
        return status;
    status = tool_open(program, false, &env);
    if (status == 0)
        status = work(&env, &request);
    tool_close(&env);
    return status;
}
