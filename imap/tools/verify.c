#include "imap/tools/verify.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/mailbox.h"
#include "imap/tools/directories.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/conn.h"
#include "lib/mupdate/wire.h"

enum { WAIT_MS = 10 * 1000 };

struct verification {
    const struct mboxop_env *env;
    int found; /* lines told */
};

/* ---- every mailbox has its files ---- */

static void verify_mailbox(struct verification *v, const struct mboxlist_record *record)
{
    struct mailbox *mailbox;
    int r = mailbox_open(v->env->store, record->partition, record->id, &mailbox);

    if (r == 0) {
        mailbox_close(&mailbox);
        return;
    }
    v->found++;
    printf("%s: %s (id %s, partition %s)\n", record->name, error_text(r), record->id, record->partition);
}

static int verify_mailboxes(struct verification *v)
{
    struct mboxlist_iter *it = mboxlist_iter_all(v->env->list, NULL, MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1)
        verify_mailbox(v, record);
    mboxlist_iter_free(&it);
    return r;
}

/* ---- all files are some mailbox's ---- */

/* Does a mailbox have its files there? */
static int is_known(const struct verification *v, const char *path, const char *id)
{
    struct pool *pool = pool_new(0);
    struct buf dir = BUF_INIT;
    struct mboxlist_record record;
    int r = mboxlist_lookup_id(v->env->list, id, pool, &record);

    if (r == 0)
        r = mailbox_dir(v->env->store, record.partition, id, &dir);
    if (r == 0)
        r = directories_same(path, buf_cstr(&dir));
    if (r == 0) {
        buf_reset(&dir);
        r = mailbox_metadata_dir(v->env->store, record.partition, id, &dir);
        if (r == 0)
            r = directories_same(path, buf_cstr(&dir));
    }
    buf_free(&dir);
    pool_free(&pool);
    return r == ERR_NOTFOUND ? 0 : r;
}

static int verify_directory(const char *partition, const char *path, const char *id, void *context)
{
    struct verification *v = context;
    int r = is_known(v, path, id);

    (void)partition;
    if (r != 0 || access(path, F_OK) != 0) /* it may have just been deleted */
        return r < 0 ? r : 0;
    v->found++;
    printf("%s: no mailbox of the list\n", path);
    return 0;
}

/* ---- no name is claimed by two servers ---- */

static void tell_conflict(struct verification *v, const struct mupdate_line *line)
{
    v->found++;
    printf("%s: active at %s, claimed by %s (times: %s; seconds since the last: %s)\n", line->args[0],
           line->args[1], line->args[2], line->args[3], line->args[4]);
}

/* 0, also when the server has no such command (a Cyrus's). */
static int read_conflicts(struct verification *v, struct mupdate_conn *conn)
{
    int64_t deadline = clock_deadline(WAIT_MS);
    const struct mupdate_line *line;
    int r;

    for (;;) {
        while ((r = mupdate_conn_line(conn, &line)) == 1) {
            if (!str_ieq(line->word, "CONFLICT"))
                return 0;
            if (line->count < 5)
                return ERR_PROTOCOL;
            tell_conflict(v, line);
        }
        if (r == 0)
            r = clock_left(deadline) == 0 ? ERR_TIMEOUT : mupdate_conn_wait(conn, deadline);
        if (r < 0)
            return r;
    }
}

/* Where none runs there is nothing to ask. */
static int verify_claims(struct verification *v)
{
    struct buf path = BUF_INIT, why = BUF_INIT, command = BUF_INIT;
    struct mupdate_conn_config config = {.anonymous = true, .wake_fd = -1};
    struct mupdate_conn *conn;
    int r = 0;

    config_path(&path, "socket/mupdate.target");
    config.server = buf_cstr(&path);
    buf_puts(&command, "C1 CONFLICTS\r\n");
    if (mupdate_conn_open(&config, clock_deadline(WAIT_MS), &conn, &why) == 0) {
        mupdate_conn_write(conn, &command);
        r = read_conflicts(v, conn);
        mupdate_conn_close(&conn);
    }
    buf_free(&path);
    buf_free(&why);
    buf_free(&command);
    return r;
}

/* ---- */

int verify_list(const char *program, const struct mboxop_env *env)
{
    struct verification v = {.env = env};
    int r = 0;

    if (env->store != NULL) {
        r = verify_mailboxes(&v);
        if (r == 0)
            r = directories_each(NULL, verify_directory, &v);
        if (r == 0)
            r = directories_each_metadata(verify_directory, &v);
    }
    if (r == 0)
        r = verify_claims(&v);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", program, error_text(r));
    return r < 0 ? EX_TEMPFAIL : v.found > 0 ? EX_DATAERR : 0;
}
