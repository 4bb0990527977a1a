/* quota: lists quota roots with limits and usage; -f counts everything anew. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/mailbox.h"
#include "imap/store/quota.h"
#include "imap/store/store.h"
#include "imap/tools/tool.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

static const char program[] = "quota";

static const struct {
    enum quota_resource resource;
    const char *name;
    int64_t unit; /* what IMAP counts in */
} resources[] = {
    {QUOTA_STORAGE, "STORAGE", 1024},
    {QUOTA_MESSAGE, "MESSAGE", 1},
    {QUOTA_ANNOTATION_STORAGE, "X-ANNOTATION-STORAGE", 1024},
    {QUOTA_MAILBOX, "X-NUM-FOLDERS", 1},
};

struct request {
    const char *config, *domain;
    bool fix, dry, quiet, json, users;
    char **names; /* NULL-terminated */
};

struct root {
    char *name; /* internal */
    struct quota_limits limits;
    struct quota_usage usage;
    struct quota_usage counted; /* -n */
};

struct run {
    struct mboxop_env *env;
    const struct request *request;
    struct pool *pool;
    char **wanted; /* internal names; NULL-terminated */
    size_t wanted_count;
    struct root *roots;
    size_t count, room, at;
    FILE *said; /* where -f tells what it did */
    int error;
};

/* ---- which ---- */

/* A root need not be a mailbox. */
static int internal_name(struct run *run, const char *given, struct buf *name)
{
    struct namespace ns;
    int r;

    if (run->request->users)
        return mboxname_inbox(run->env->config, given, name);
    namespace_init(&ns, run->env->config, NULL, true, run->pool);
    r = namespace_to_internal(&ns, given, name);
    /* user.fred: with the separator '/' that is a component with a dot in it */
    if (r != 0 || (strchr(given, '/') == NULL && mboxname_check(given) == 0)) {
        buf_reset(name);
        buf_puts(name, given);
        r = mboxname_check(given);
    }
    return r;
}

static int set_wanted(struct run *run)
{
    struct buf name = BUF_INIT;
    size_t n = 0;
    int r = 0;

    while (run->request->names[n] != NULL)
        n++;
    run->wanted = pool_alloc(run->pool, (n + 1) * sizeof(*run->wanted));
    for (size_t i = 0; i < n && r == 0; i++) {
        buf_reset(&name);
        r = internal_name(run, run->request->names[i], &name);
        if (r != 0)
            fprintf(stderr, "%s: %s: %s\n", program, run->request->names[i], error_text(r));
        else
            run->wanted[run->wanted_count++] = pool_strdup(run->pool, buf_cstr(&name));
    }
    run->wanted[run->wanted_count] = NULL;
    buf_free(&name);
    return r;
}

static bool is_wanted(const struct run *run, const char *root)
{
    const char *domain = run->request->domain;
    size_t len;
    bool wanted = run->wanted_count == 0;

    mboxname_local(root, &len);
    if (domain != NULL && (len != strlen(domain) || strncmp(root, domain, len) != 0))
        return false;
    for (size_t i = 0; i < run->wanted_count && !wanted; i++)
        wanted = strcmp(root, run->wanted[i]) == 0 || mboxname_is_below(root, run->wanted[i]);
    return wanted;
}

static int add_root(const char *root, const struct quota_limits *limits, void *context)
{
    struct run *run = context;

    if (!is_wanted(run, root))
        return 0;
    if (run->count == run->room) {
        run->room = run->room * 2 + 64;
        run->roots = xreallocarray(run->roots, run->room, sizeof(*run->roots));
    }
    run->roots[run->count++] = (struct root){.name = xstrdup(root), .limits = *limits};
    return 0;
}

static int read_usage(struct run *run)
{
    int r = 0;

    for (size_t i = 0; i < run->count && r == 0; i++)
        r = store_quota_usage(run->env->store, run->roots[i].name, &run->roots[i].usage);
    return r;
}

/* ---- -f ---- */

/* What a recount would find.  Mailboxes come in the order of roots: the search goes on where the last one ended. */
static void count_mailbox(struct run *run, const char *name, const struct mailbox_header *header)
{
    for (size_t n = 0; n < run->count; n++, run->at = (run->at + 1) % run->count) {
        int64_t *used = run->roots[run->at].counted.used;

        if (strcmp(run->roots[run->at].name, name) != 0)
            continue;
        used[QUOTA_STORAGE] += (int64_t)header->storage;
        used[QUOTA_MESSAGE] += header->exists;
        used[QUOTA_ANNOTATION_STORAGE] += (int64_t)header->annotation_storage;
        used[QUOTA_MAILBOX]++;
        return;
    }
}

/* The index must name the root that governs the mailbox's name. */
static int fix_mailbox(struct mboxop_env *env, const struct mboxlist_record *record, void *context)
{
    struct run *run = context;
    struct buf root = BUF_INIT;
    struct mailbox *mailbox;
    int r = mailbox_open(env->store, record->partition, record->id, &mailbox);

    if (r == 0) {
        r = quota_root_of(env->list, record->name, &root);
        r = r == ERR_NOTFOUND ? 0 : r;
        if (r == 0 && strcmp(buf_cstr(&root), mailbox_header(mailbox)->quota_root) != 0) {
            fprintf(run->said, "%s: quota root %s --> %s\n", tool_external(env, record->name, run->pool),
                    mailbox_header(mailbox)->quota_root, buf_cstr(&root));
            if (!run->request->dry)
                r = mailbox_set_quota_root(mailbox, root.len > 0 ? buf_cstr(&root) : NULL);
        }
        count_mailbox(run, buf_cstr(&root), mailbox_header(mailbox));
        mailbox_close(&mailbox);
    }
    if (r != 0 && r != ERR_NOTFOUND) { /* a damaged one must not keep the others from being counted */
        fprintf(stderr, "%s: %s: %s\n", program, record->name, error_text(r));
        run->error = r;
    }
    buf_free(&root);
    return 0;
}

static void tell_difference(struct run *run, const struct root *root, const struct quota_usage *now)
{
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        enum quota_resource resource = resources[i].resource;

        if (root->usage.used[resource] != now->used[resource])
            fprintf(run->said, "%s: %s usage was %" PRId64 ", now %" PRId64 "\n",
                    tool_external(run->env, root->name, run->pool), resources[i].name,
                    root->usage.used[resource], now->used[resource]);
    }
}

static int fix(struct run *run)
{
    int r = read_usage(run);

    if (r == 0)
        r = tool_each_local(run->env, NULL, fix_mailbox, run);
    if (r == 0 && !run->request->dry)
        r = store_quota_recount(run->env->store, NULL);
    for (size_t i = 0; i < run->count && r >= 0; i++) {
        struct quota_usage now = run->roots[i].counted;

        if (!run->request->dry)
            r = store_quota_usage(run->env->store, run->roots[i].name, &now);
        if (r == 0)
            tell_difference(run, &run->roots[i], &now);
    }
    return r < 0 ? r : 0;
}

/* ---- the report ---- */

static void print_table(struct run *run)
{
    printf("%8s %8s %8s %20s %s\n", "Quota", "% Used", "Used", "Resource", "Root");
    for (size_t k = 0; k < run->count; k++) {
        const struct root *root = &run->roots[k];
        const char *shown = tool_external(run->env, root->name, run->pool);

        for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
            int64_t limit = root->limits.limit[resources[i].resource];
            int64_t used = root->usage.used[resources[i].resource];

            if (limit > 0)
                printf("%8" PRId64 " %8" PRId64, limit / resources[i].unit,
                       (int64_t)((double)used * 100.0 / (double)limit));
            else
                printf("%8s %8s", limit == 0 ? "0" : "", "");
            printf(" %8" PRId64 " %20s %s\n", used / resources[i].unit, resources[i].name, shown);
        }
    }
}

static void print_json(struct run *run)
{
    json_t *all = json_object();

    for (size_t k = 0; k < run->count; k++) {
        const struct root *root = &run->roots[k];
        json_t *object = json_object();

        for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
            int64_t limit = root->limits.limit[resources[i].resource];
            json_t *row = json_object();

            json_object_set_new(row, "used", json_integer(root->usage.used[resources[i].resource]));
            if (limit != QUOTA_UNLIMITED)
                json_object_set_new(row, "limit", json_integer(limit));
            json_object_set_new(object, resources[i].name, row);
        }
        json_object_set_new(all, tool_external(run->env, root->name, run->pool), object);
    }
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
}

/* ---- */

static int report(struct run *run)
{
    int r = quota_roots_each(run->env->list, NULL, add_root, run);

    if (r == 0 && run->request->fix)
        r = fix(run);
    if (r == 0)
        r = read_usage(run);
    if (r == 0 && run->request->json)
        print_json(run);
    else if (r == 0 && !run->request->quiet)
        print_table(run);
    if (r != 0)
        fprintf(stderr, "%s: %s\n", program, error_text(r));
    return r != 0 ? r : run->error;
}

static int work(struct mboxop_env *env, const struct request *request)
{
    struct run run = {
        .env = env, .request = request, .pool = pool_new(0), .said = request->json ? stderr : stdout};
    int status = 0;

    if (tool_has_store(program, env)) {
        if (set_wanted(&run) != 0)
            status = EX_USAGE;
        else if (report(&run) != 0)
            status = EX_TEMPFAIL;
    }
    for (size_t i = 0; i < run.count; i++)
        free(run.roots[i].name);
    free(run.roots);
    pool_free(&run.pool);
    return status;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-f] [-n] [-q] [-J] [-d domain] [root...]\n"
            "       %s [-C imapd.conf] [-f] [-n] [-q] [-J] -u user...\n",
            program, program);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct request request = {.config = NULL};
    struct mboxop_env env;
    int c, status;

    while ((c = getopt(argc, argv, "C:fnqJud:")) != -1) {
        if (c == 'C')
            request.config = optarg;
        else if (c == 'f')
            request.fix = true;
        else if (c == 'n')
            request.dry = true;
        else if (c == 'q')
            request.quiet = true;
        else if (c == 'J')
            request.json = true;
        else if (c == 'u')
            request.users = true;
        else if (c == 'd')
            request.domain = optarg;
        else
            return usage();
    }
    request.names = argv + optind;
    if (request.users && optind == argc)
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
