/* reconstruct: looks whether mailboxes are sound, and rebuilds those that are not from their files.  No message
 * file is ever removed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/listed.h"
#include "imap/store/recover.h"
#include "imap/tools/discover.h"
#include "imap/tools/tool.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/mboxlist/quota.h"
#include "lib/name/mboxname.h"
#include "lib/name/wildcard.h"

static const char program[] = "reconstruct";

struct request {
    const char *config;
    enum check_depth depth; /* -s, -G */
    bool recursive, dry, quiet, users, paths;
    bool find, afresh;     /* -f, -x */
    const char *partition; /* -p: where to find; NULL: everywhere */
    char **names;          /* NULL-terminated */
};

struct run {
    const struct request *request;
    const char *shown;       /* the name as an administrator knows it */
    struct wildcard *wanted; /* of the argument at work; NULL: all */
    const char *below;       /* -r: and what is below this internal name */
    uint64_t seen;           /* mailboxes */
    bool failed, unsound;
};

/* ---- telling ---- */

static void complain(struct run *run, int error)
{
    fprintf(stderr, "%s: %s: %s\n", program, run->shown, error_text(error));
    run->failed = true;
}

static void tell(struct run *run, const char *what, uint32_t count)
{
    run->unsound = true;
    if (count > 0)
        printf("%s: %" PRIu32 " %s\n", run->shown, count, what);
    else
        printf("%s: %s\n", run->shown, what);
}

static void tell_findings(struct run *run, const struct mailbox_findings *f)
{
    const struct {
        bool is;
        const char *what;
    } facts[] = {
        {f->no_directory, "its directory is not there"},
        {f->no_header, "the index has no whole header"},
        {f->header_copy, "one copy of the index header is damaged"},
        {f->order, "the UIDs of the index are out of order"},
        {f->misplaced, "its index is not where metapartition_files wants it"},
        {f->totals, "the totals of the index are wrong"},
    };
    const struct {
        uint32_t count;
        const char *what;
    } counts[] = {
        {f->records, "damaged records"},
        {f->missing, "messages without a file"},
        {f->unknown, "message files without a record"},
        {f->contents, "message files that are not what their record says"},
        {f->cache, "damaged cache entries"},
    };

    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        if (facts[i].is)
            tell(run, facts[i].what, 0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (counts[i].count > 0)
            tell(run, counts[i].what, counts[i].count);
}

static void tell_report(const struct run *run, const struct reconstruct_report *report)
{
    printf("%s: rebuilt: %" PRIu32 " messages, of which %" PRIu32 " from their files alone, %" PRIu32
           " with new UIDs; %" PRIu32 " lost%s\n",
           run->shown, report->messages, report->rebuilt, report->new_uids, report->missing,
           report->new_uidvalidity ? "; new UIDVALIDITY" : "");
}

/* ---- mending ---- */

static int mend(struct mboxop_env *env, const struct mboxlist_record *record, struct run *run,
                const struct mailbox_findings *f)
{
    const struct mailbox_findings only_totals = {.totals = true};
    struct reconstruct_report report;
    uint32_t uidvalidity = record->uidvalidity;
    struct mailbox *mailbox;
    int r = 0;

    if (memcmp(f, &only_totals, sizeof(*f)) == 0) {
        r = mailbox_open(env->store, record->partition, record->id, &mailbox);
        if (r != 0)
            return r;
        r = mailbox_recover(mailbox);
        mailbox_close(&mailbox);
        return r;
    }
    if (f->no_header)
        r = tool_new_uidvalidity(env, &uidvalidity);
    if (r == 0)
        r = mailbox_reconstruct(env->store, record->partition, record->id, uidvalidity, &report);
    if (r == 0)
        tell_report(run, &report);
    return r;
}

/* Was it deleted, or renamed, while we looked at it? */
static bool is_still_there(struct mboxop_env *env, const struct mboxlist_record *record)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record now;
    int r = mboxlist_lookup_id(env->list, record->id, pool, &now);
    bool there = r == 0 && now.type == MBOXLIST_LOCAL && strcmp(now.partition, record->partition) == 0;

    pool_free(&pool);
    return there;
}

/* The list must say what the index says. */
static int mend_list(struct mboxop_env *env, const char *id, uint32_t uidvalidity)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(env->list, &txn);

    if (r == 0) {
        r = mboxlist_txn_lookup_id(txn, id, pool, &record);
        record.uidvalidity = uidvalidity;
        if (r == 0)
            r = mboxlist_txn_put(txn, &record);
        if (r == 0)
            r = mboxlist_commit(&txn);
        mboxlist_abort(&txn);
    }
    pool_free(&pool);
    return r;
}

/* What the index remembers of the list: it lags behind without harm, so it is nothing to be told of. */
static int remind(struct mailbox *mailbox, const struct mboxlist_record *record, const struct buf *root,
                  const struct quota_limits *limits)
{
    struct mailbox_listed listed = {record->name, record->acl, record->special_use, limits != NULL, {{0}}};
    char text[MAILBOX_LISTED_SIZE];

    if (limits != NULL)
        listed.limits = *limits;
    listed_encode(text, &listed);
    if (strcmp(buf_cstr(root), mailbox_header(mailbox)->quota_root) == 0 &&
        strcmp(text, mailbox_header(mailbox)->listed) == 0)
        return 0;
    return mailbox_set_listed(mailbox, &listed, root->len > 0 ? buf_cstr(root) : NULL, 0);
}

/* What the mailbox list and the index both know. */
static int agree(struct mboxop_env *env, const struct mboxlist_record *record, struct run *run)
{
    struct mailbox *mailbox;
    struct buf root = BUF_INIT;
    struct quota_limits limits;
    bool dry = run->request->dry, has_limits;
    int r = mailbox_open(env->store, record->partition, record->id, &mailbox);

    if (r != 0)
        return r;
    r = quota_root_of(env->list, record->name, &root);
    has_limits = r == 0 && quota_limits_get(env->list, buf_cstr(&root), &limits) == 0;
    r = r == ERR_NOTFOUND ? 0 : r;
    if (r == 0 && strcmp(buf_cstr(&root), mailbox_header(mailbox)->quota_root) != 0)
        tell(run, "the index names another quota root than the mailbox list", 0);
    if (r == 0 && !dry)
        r = remind(mailbox, record, &root, has_limits ? &limits : NULL);
    if (r == 0 && record->uidvalidity != mailbox_header(mailbox)->uidvalidity) {
        tell(run, "the index has another UIDVALIDITY than the mailbox list", 0);
        r = dry ? 0 : mend_list(env, record->id, mailbox_header(mailbox)->uidvalidity);
    }
    buf_free(&root);
    mailbox_close(&mailbox);
    return r;
}

static int reconstruct(struct mboxop_env *env, const struct mboxlist_record *record, struct run *run)
{
    const struct request *request = run->request;
    struct mailbox_findings found;
    int r = mailbox_check(env->store, record->partition, record->id, request->depth, !request->dry, &found);

    if (r == 0 && mailbox_findings_any(&found)) {
        if (!is_still_there(env, record))
            return 0;
        tell_findings(run, &found);
        if (found.no_directory)
            return ERR_NOTFOUND;
        if (!request->dry)
            r = mend(env, record, run, &found);
        else if (found.no_header)
            return 0;
    }
    return r == 0 ? agree(env, record, run) : r;
}

/* ---- which ---- */

static int visit(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct run *run = context;
    struct pool *pool;
    int r;

    if (record->flags & MBOXLIST_MOVING) /* to another partition: it has no index for a moment */
        return 0;
    pool = pool_new(0);
    run->shown = tool_external(env, record->name, pool);
    if (run->wanted == NULL || wildcard_match(run->wanted, run->shown, strlen(run->shown)) ||
        (run->below != NULL && mboxname_is_below(record->name, run->below))) {
        run->seen++;
        if (!run->request->quiet)
            puts(run->shown);
        r = reconstruct(env, record, run);
        if (r != 0 && (r != ERR_NOTFOUND || is_still_there(env, record)))
            complain(run, r);
    }
    pool_free(&pool);
    return 0;
}

static int each(struct mboxop_env *env, const char *userid, struct run *run)
{
    int r = tool_each_local(env, userid, visit, run);

    if (r != 0) {
        fprintf(stderr, "%s: %s\n", program, error_text(r));
        run->failed = true;
    }
    return r;
}

/* ---- what the list does not know ---- */

struct wish {
    struct mboxop_env *env;
    const struct request *request;
};

static bool is_or_is_below(const char *name, const char *ancestor)
{
    return strcmp(name, ancestor) == 0 || mboxname_is_below(name, ancestor);
}

static bool is_owners(const struct wish *wish, const char *name, const char *userid)
{
    struct buf inbox = BUF_INIT, owner = BUF_INIT;
    bool is = mboxname_inbox(wish->env->config, userid, &inbox) == 0 &&
              mboxname_owner(wish->env->config, buf_cstr(&inbox), &owner) &&
              mboxname_is_owner(wish->env->config, name, buf_cstr(&owner));

    buf_free(&inbox);
    buf_free(&owner);
    return is;
}

static bool is_named(const struct wish *wish, const char *name, const char *argument)
{
    struct pool *pool = pool_new(0);
    const char *shown = tool_external(wish->env, name, pool);
    struct wildcard *pattern = NULL;
    struct buf internal = BUF_INIT;
    bool is;

    if (strpbrk(argument, "*%") != NULL) {
        is = wildcard_new(wish->env->config->separator, "", argument, &pattern) == 0 &&
             wildcard_match(pattern, shown, strlen(shown));
        wildcard_free(&pattern);
    } else {
        is = is_or_is_below(name, argument) ||
             (tool_internal(wish->env, argument, &internal) && is_or_is_below(name, buf_cstr(&internal)));
    }
    buf_free(&internal);
    pool_free(&pool);
    return is;
}

static bool is_wanted(const char *name, void *context)
{
    const struct wish *wish = context;
    bool is = wish->request->names[0] == NULL;

    for (char *const *argument = wish->request->names; !is && *argument != NULL; argument++)
        is = wish->request->users ? is_owners(wish, name, *argument) : is_named(wish, name, *argument);
    return is;
}

/* DIRECTORY or DIRECTORY=MAILBOX: the argument becomes the directory alone, what is behind it is returned. */
static const char *split_path(char *argument)
{
    for (char *at = argument; access(argument, F_OK) != 0 && (at = strchr(at, '=')) != NULL; at++) {
        *at = '\0';
        if (access(argument, F_OK) == 0)
            return at + 1;
        *at = '=';
    }
    return NULL;
}

static void find_path(struct discovery *d, char *argument)
{
    const char *given = split_path(argument);
    struct buf name = BUF_INIT;

    if (given != NULL && !tool_internal(d->env, given, &name)) {
        fprintf(stderr, "%s: %s: %s\n", program, given, error_text(ERR_BADNAME));
        d->failed = true;
    } else {
        discover_path(d, argument, given != NULL ? buf_cstr(&name) : NULL);
    }
    buf_free(&name);
}

/* How many mailboxes it found. */
static size_t find(struct mboxop_env *env, struct run *run)
{
    struct wish wish = {env, run->request};
    struct discovery d = {
        .program = program,
        .env = env,
        .dry = run->request->dry,
        .afresh = run->request->afresh,
        .all = run->request->paths || run->request->names[0] == NULL,
        .wanted = run->request->paths ? NULL : is_wanted,
        .context = &wish,
    };

    for (char *const *name = run->request->names; run->request->paths && *name != NULL; name++)
        find_path(&d, *name);
    if (!run->request->paths)
        discover_all(&d, run->request->partition);
    run->failed |= d.failed;
    run->unsound |= d.unsound;
    return d.found;
}

/* ---- arguments ---- */

/* A pattern of LIST, over the names that an administrator sees. */
static void run_pattern(struct mboxop_env *env, const char *pattern, struct run *run)
{
    int r = wildcard_new(env->config->separator, "", pattern, &run->wanted);

    if (r != 0) {
        fprintf(stderr, "%s: %s: %s\n", program, pattern, error_text(r));
        run->failed = true;
        return;
    }
    each(env, NULL, run);
    wildcard_free(&run->wanted);
}

static void run_name(struct mboxop_env *env, const char *name, struct run *run)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    int r = run->request->paths ? tool_lookup_path(env, name, pool, &record)
                                : tool_lookup(env, name, false, pool, &record);

    if (r != 0 && r != ERR_NOTFOUND) {
        fprintf(stderr, "%s: %s: %s\n", program, name, error_text(r));
        run->failed = true;
    } else if (r == 0 && record.type != MBOXLIST_LOCAL) {
        fprintf(stderr, "%s: %s is on %s\n", program, name, record.server);
    } else if (r == 0) {
        run->below = run->request->recursive ? record.name : NULL;
        if (run->below != NULL)
            run_pattern(env, tool_external(env, record.name, pool), run);
        else
            visit(env, &record, run);
        run->below = NULL;
    }
    pool_free(&pool);
}

static int run(struct mboxop_env *env, const struct request *request)
{
    struct run run = {.request = request};
    char *const *name = request->names;
    size_t found = 0;

    if (!tool_has_store(program, env))
        return 0;
    if (request->find && tool_wait_master(program, env) != 0)
        return EX_TEMPFAIL;
    if (request->find)
        found = find(env, &run);
    if (*name == NULL)
        each(env, NULL, &run);
    for (; *name != NULL; name++) {
        run.seen = 0;
        if (request->users)
            each(env, *name, &run);
        else if (!request->paths && strpbrk(*name, "*%") != NULL)
            run_pattern(env, *name, &run);
        else
            run_name(env, *name, &run);
        if (run.seen == 0 && found == 0) {
            fprintf(stderr, "%s: %s: no such mailbox here\n", program, *name);
            run.failed = true;
        }
    }
    if (run.failed)
        return EX_TEMPFAIL;
    return request->dry && run.unsound ? EX_DATAERR : 0;
}

/* ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-r] [-f] [-p partition] [-x] [-s | -G] [-n] [-q] [mailbox...]\n"
            "       %s [-C imapd.conf] [-f] [-p partition] [-x] [-s | -G] [-n] [-q] -u user...\n"
            "       %s [-C imapd.conf] [-r] [-f] [-x] [-s | -G] [-n] [-q] -P directory[=mailbox]...\n",
            program, program, program);
    return EX_USAGE;
}

static int refuse(int option)
{
    static const struct {
        int option;
        const char *why;
    } reasons[] = {
        {'I', "two mailboxes cannot have one unique id"},
        {'O', "no file is ever removed"},
        {'R', "a message file that is not what its record says is mended with -G"},
        {'V', "an index has one version only"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].option == option)
            fprintf(stderr, "%s: -%c is not supported: %s\n", program, option, reasons[i].why);
    return EX_USAGE;
}

/* 0, or what to exit with. */
static int parse(int argc, char **argv, struct request *request)
{
    int c;

    while ((c = getopt(argc, argv, "C:rsGnqufxp:PV:kMoUIOR")) != -1) {
        if (c == 'C')
            request->config = optarg;
        else if (c == 'r')
            request->recursive = true;
        else if (c == 's' && request->depth != CHECK_CONTENTS)
            request->depth = CHECK_INDEX;
        else if (c == 'G' && request->depth != CHECK_INDEX)
            request->depth = CHECK_CONTENTS;
        else if (c == 'n')
            request->dry = true;
        else if (c == 'q')
            request->quiet = true;
        else if (c == 'u')
            request->users = true;
        else if (c == 'P')
            request->paths = true;
        else if (c == 'f')
            request->find = true;
        else if (c == 'x')
            request->afresh = true;
        else if (c == 'p')
            request->partition = optarg;
        else if (strchr("kMoU", c) != NULL || (c == 'V' && strcmp(optarg, "max") == 0))
            continue; /* so it is in any case */
        else if (strchr("IORV", c) != NULL)
            return refuse(c);
        else
            return usage();
    }
    request->names = argv + optind;
    request->find |= request->partition != NULL;
    if ((request->users && request->paths) || (request->afresh && !request->find) ||
        (request->paths && request->partition != NULL))
        return usage();
    return (request->users || request->paths) && optind == argc ? usage() : 0;
}

int main(int argc, char **argv)
{
    struct request request = {.depth = CHECK_FILES};
    struct mboxop_env env;
    int status = parse(argc, argv, &request);

    if (status == 0)
        status = tool_start(program, request.config);
    if (status == 0 && request.partition != NULL && config_partition(request.partition) == NULL) {
        fprintf(stderr, "%s: no such partition: %s\n", program, request.partition);
        status = EX_USAGE;
    }
    if (status != 0)
        return status;
    status = tool_open(program, request.find && !request.dry, &env);
    if (status == 0)
        status = run(&env, &request);
    tool_close(&env);
    return status;
}
