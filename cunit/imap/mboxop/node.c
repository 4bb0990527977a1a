#include "cunit/imap/mboxop/node.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/unit.h"
#include "imap/store/mailbox.h"
#include "imap/store/record.h"
#include "imap/store/store.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/intent.h"
#include "lib/mboxlist/quota.h"

static char dir[64];

const struct name_config node_config = {
    .separator = '.',
    .userprefix = "Other Users",
    .sharedprefix = "Shared Folders",
    .deletedprefix = "DELETED",
    .admins = "cyrus",
    .implicit_owner_rights = "lkxan",
    .defaultacl = "anyone lrs",
};

static void remove_dir(void)
{
    file_remove_tree(dir);
}

/* Memory where there is some: each of hundreds of steps syncs. */
static void make_dir(void)
{
    struct buf conf = BUF_INIT;
    char path[80], *error = NULL;

    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/mboxop.XXXXXX" : "/tmp/mboxop.XXXXXX");
    BUG_ON(mkdtemp(dir) == NULL);
    atexit(remove_dir);
    snprintf(path, sizeof(path), "%s/imapd.conf", dir);
    buf_printf(&conf,
               "configdirectory: %s/conf\npartition-default: %s/spool\npartition-second: %s/second\n"
               "defaultpartition: default\ndb_map_size: 16M\n"
               "sievedir: %s/conf/sieve\n"
               "allowusermoves: yes\nanyoneuseracl: no\nservername: be1\nlog_target: file:%s/log\n",
               dir, dir, dir, dir, dir);
    BUG_ON(file_replace(path, conf.data, conf.len, 0600) != 0);
    BUG_ON(config_read(path, NULL, "test", &error) != 0);
    buf_free(&conf);
}

const char *node_directory(void)
{
    return dir;
}

void node_wipe(void)
{
    char path[80];

    if (dir[0] == '\0')
        make_dir();
    snprintf(path, sizeof(path), "%s/conf", dir);
    BUG_ON(file_remove_tree(path) != 0 || mkdir(path, 0700) != 0);
    snprintf(path, sizeof(path), "%s/spool", dir);
    BUG_ON(file_remove_tree(path) != 0 || mkdir(path, 0700) != 0);
    snprintf(path, sizeof(path), "%s/second", dir);
    BUG_ON(file_remove_tree(path) != 0);
}

void node_open(struct node *n, bool murder)
{
    struct store_options options;
    struct mboxlist *list;
    struct store *store;

    store_options_configured(&options);
    CU_ASSERT_EQUAL_FATAL(mboxlist_open(NULL, &list, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(store_open(&options, &store, NULL), 0);
    n->env = (struct mboxop_env){&node_config, list, store, murder ? fake_link() : NULL, "be1"};
}

void node_close(struct node *n)
{
    struct mboxlist *list = n->env.list;
    struct store *store = n->env.store;

    store_close(&store);
    mboxlist_close(&list);
}

int node_run(struct mboxop *op)
{
    return mboxop_run(&op, NULL);
}

int node_create(struct node *n, const char *name)
{
    return node_run(mboxop_create(&n->env, name, NULL, NULL, NULL, 0, NULL));
}

/* ---- looking ---- */

static bool has_files(struct node *n, const struct mboxlist_record *record, uint32_t *uidvalidity_r)
{
    struct mailbox *mailbox;

    if (mailbox_open(n->env.store, record->partition, record->id, &mailbox) != 0)
        return false;
    *uidvalidity_r = mailbox_header(mailbox)->uidvalidity;
    mailbox_close(&mailbox);
    return true;
}

/* Does the header name the quota root that governs the mailbox? */
static bool has_root(struct node *n, const struct mboxlist_record *record)
{
    struct mailbox *mailbox;
    struct buf root = BUF_INIT;
    bool has = true;

    quota_root_of(n->env.list, record->name, &root);
    if (mailbox_open(n->env.store, record->partition, record->id, &mailbox) == 0) {
        has = strcmp(mailbox_header(mailbox)->quota_root, buf_cstr(&root)) == 0;
        mailbox_close(&mailbox);
    }
    buf_free(&root);
    return has;
}

void node_names(struct node *n, struct buf *to)
{
    struct mboxlist_iter *it = mboxlist_iter_all(n->env.list, "", MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;

    while (mboxlist_iter_next(it, &record) == 1) {
        struct buf former = BUF_INIT;
        uint32_t uidvalidity;
        int64_t when;

        if (to->len > 0)
            buf_putc(to, ' ');
        if (mboxname_from_deleted(&node_config, record->name, &former, &when))
            buf_printf(to, "DELETED.%s.T", former.data);
        else
            buf_puts(to, record->name);
        if (has_files(n, record, &uidvalidity))
            buf_putc(to, strcmp(record->partition, "second") == 0 ? '2' : '+');
        buf_free(&former);
    }
    mboxlist_iter_free(&it);
}

static bool lookup(struct node *n, const char *name, struct pool *pool, struct mboxlist_record *record)
{
    return mboxlist_lookup(n->env.list, name, pool, record) == 0;
}

void node_acl(struct node *n, const char *name, struct buf *to)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;

    buf_reset(to);
    if (lookup(n, name, pool, &record))
        buf_puts(to, record.acl);
    pool_free(&pool);
}

void node_id(struct node *n, const char *name, struct buf *to)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;

    buf_reset(to);
    if (lookup(n, name, pool, &record))
        buf_puts(to, record.id);
    pool_free(&pool);
}

uint32_t node_uidvalidity(struct node *n, const char *name)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    uint32_t uidvalidity = lookup(n, name, pool, &record) ? record.uidvalidity : 0;

    pool_free(&pool);
    return uidvalidity;
}

/* ---- the invariants ---- */

/* Mailbox directories: <spool>/<2>/<2>/<id>. */
static unsigned count_dirs(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *e;
    unsigned n = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char *below = xstrprintf("%s/%s", path, e->d_name);
        bool hash = strspn(e->d_name, "0123456789abcdef") == 2 && e->d_name[2] == '\0';

        if (depth == 2 && e->d_name[0] != '.')
            n++;
        else if (depth < 2 && hash)
            n += count_dirs(below, depth + 1);
        free(below);
    }
    if (d != NULL)
        closedir(d);
    return n;
}

static int complain(const struct intent *intent, void *context)
{
    buf_printf(context, "intent %d of %s; ", (int)intent->operation, intent->name);
    return 0;
}

static void check_master(const struct buf *ours, struct buf *wrong)
{
    struct buf theirs = BUF_INIT;

    fake_dump(&theirs);
    if (strcmp(buf_cstr(&theirs), buf_cstr(ours)) != 0)
        buf_printf(wrong, "master:\n%sbut here:\n%s", buf_cstr(&theirs), buf_cstr(ours));
    buf_free(&theirs);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted as the fake master sorts. */
static void sort_lines(struct buf *text)
{
    struct pool *pool = pool_new(0);
    struct str_list lines = str_split(pool, buf_cstr(text), "\n");

    qsort(lines.items, lines.count, sizeof(*lines.items), by_line);
    buf_reset(text);
    for (size_t i = 0; i < lines.count; i++)
        buf_printf(text, "%s\n", lines.items[i]);
    pool_free(&pool);
}

void node_check(struct node *n, struct buf *wrong)
{
    struct mboxlist_iter *it = mboxlist_iter_all(n->env.list, "", MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;
    struct buf ours = BUF_INIT;
    unsigned count = 0, dirs;
    char path[80];

    for (; mboxlist_iter_next(it, &record) == 1; count++) {
        uint32_t uidvalidity;

        if (!has_files(n, record, &uidvalidity))
            buf_printf(wrong, "%s has no files; ", record->name);
        else if (uidvalidity != record->uidvalidity)
            buf_printf(wrong, "%s: UIDVALIDITY %u and %u; ", record->name, record->uidvalidity, uidvalidity);
        if (!has_root(n, record))
            buf_printf(wrong, "%s has another quota root; ", record->name);
        if (record->flags != 0)
            buf_printf(wrong, "%s has flags; ", record->name);
        buf_printf(&ours, "%s be1!%s %s\n", record->name, record->partition, record->acl);
    }
    mboxlist_iter_free(&it);
    snprintf(path, sizeof(path), "%s/spool", dir);
    dirs = count_dirs(path, 0);
    snprintf(path, sizeof(path), "%s/second", dir);
    dirs += count_dirs(path, 0);
    if (dirs != count)
        buf_printf(wrong, "%u directories for %u mailboxes; ", dirs, count);
    intent_each(n->env.list, complain, wrong);
    sort_lines(&ours);
    if (n->env.link != NULL)
        check_master(&ours, wrong);
    buf_free(&ours);
}
