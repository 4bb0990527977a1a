#include "imap/login/tally.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

enum {
    MAP_SIZE = 256 * 1024 * 1024, /* a million sessions */
    STAT_MAX = 4096,
    BOOT_ID_MAX = 64,
    START_SIZE = 8,
    WHOM_SIZE = 1 + DIGEST_SHA1_SIZE,
    KEY_SIZE = WHOM_SIZE + 4 + 8,
    ASKED = 64,
    START_FIELD = 20 /* behind the name, in /proc/PID/stat */
};

struct tally {
    char *service;
    struct tally_limits limits;
    struct db_env *env;
    unsigned table;
    uint32_t pid;
    unsigned char start[START_SIZE]; /* of this process */
    atomic_uint_fast64_t number;
};

static const char *const tables[] = {"sessions", NULL};

/* ---- processes ---- */

/* When the process was started: with its number, which process it is.  0: there is none (a zombie is none). */
static uint64_t start_of(uint32_t pid)
{
    char *path = xstrprintf("/proc/%u/stat", pid);
    struct buf stat = BUF_INIT;
    uint64_t start = 0;
    const char *p;

    if (file_read_all(path, STAT_MAX, &stat) == 0 && (p = strrchr(buf_cstr(&stat), ')')) != NULL &&
        p[1] == ' ' && p[2] != 'Z' && p[2] != 'X') {
        for (int i = 0; i < START_FIELD && p != NULL; i++)
            p = strchr(p + 1, ' ');
        if (p != NULL && str_parse_u64(p + 1, strcspn(p + 1, " "), &start) < 0)
            start = 0;
    }
    buf_free(&stat);
    free(path);
    return start;
}

/* ---- keys: kind, SHA-1 of service NUL name, pid, number; sorted by whom they count for ---- */

static void put_number(unsigned char *to, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, n >>= 8)
        to[i] = (unsigned char)n;
}

static uint64_t get_number(const unsigned char *from, int bytes)
{
    uint64_t n = 0;

    for (int i = 0; i < bytes; i++)
        n = n << 8 | from[i];
    return n;
}

static void make_key(const struct tally *t, char kind, const char *name, uint64_t number,
                     unsigned char key[KEY_SIZE])
{
    struct buf text = BUF_INIT;

    buf_append(&text, t->service, strlen(t->service) + 1);
    buf_puts(&text, name);
    key[0] = (unsigned char)kind;
    digest_sha1(text.data, text.len, key + 1);
    put_number(key + WHOM_SIZE, t->pid, 4);
    put_number(key + WHOM_SIZE + 4, number, 8);
    buf_free(&text);
}

/* ---- counting ---- */

struct count {
    struct {
        uint32_t pid;
        uint64_t start;
    } asked[ASKED]; /* processes, each asked for once */
    int64_t living;
    struct buf dead; /* keys */
};

static int look(const struct db_value *key, const struct db_value *value, void *context)
{
    struct count *c = context;
    uint64_t start;
    uint32_t pid;

    if (key->len != KEY_SIZE || value->len != START_SIZE)
        return 0;
    pid = (uint32_t)get_number((const unsigned char *)key->data + WHOM_SIZE, 4);
    if (pid != c->asked[pid % ASKED].pid) {
        c->asked[pid % ASKED].pid = pid;
        c->asked[pid % ASKED].start = start_of(pid);
    }
    start = c->asked[pid % ASKED].start;
    if (start != 0 && start == get_number(value->data, START_SIZE))
        c->living++;
    else
        buf_append(&c->dead, key->data, KEY_SIZE);
    return 0;
}

/* The living sessions whose keys begin so; the dead ones are removed. */
static int count_in(struct tally *t, struct db_txn *txn, const void *prefix, size_t len, int64_t *living_r)
{
    struct count c = {.living = 0};
    int r = db_scan(txn, t->table, prefix, len, prefix, len, look, &c);

    for (size_t at = 0; r == 0 && at < c.dead.len; at += KEY_SIZE)
        r = db_delete(txn, t->table, c.dead.data + at, KEY_SIZE);
    *living_r = c.living;
    buf_free(&c.dead);
    return r;
}

/* 0: counted; 1: full; or an error. */
static int enter_one(struct tally *t, struct db_txn *txn, char kind, const char *name, int64_t limit,
                     uint64_t number)
{
    unsigned char key[KEY_SIZE];
    int64_t living;
    int r;

    if (limit <= 0 || name[0] == '\0')
        return 0;
    make_key(t, kind, name, number, key);
    r = count_in(t, txn, key, WHOM_SIZE, &living);
    if (r == 0 && living >= limit)
        return 1;
    return r == 0 ? db_put(txn, t->table, key, KEY_SIZE, t->start, START_SIZE) : r;
}

int tally_enter(struct tally *t, const char *user, const char *host, uint64_t *number_r)
{
    uint64_t number = atomic_fetch_add(&t->number, 1);
    struct db_txn *txn;
    int verdict = TALLY_IN;
    int r = db_begin(t->env, true, &txn);

    if (r < 0)
        return r;
    *number_r = number;
    r = enter_one(t, txn, 'u', user, t->limits.per_user, number);
    if (r == 1) {
        verdict = TALLY_USER_FULL;
    } else if (r == 0) {
        r = enter_one(t, txn, 'h', host, t->limits.per_host, number);
        verdict = r == 1 ? TALLY_HOST_FULL : TALLY_IN;
    }
    if (r == 0)
        r = db_commit(&txn);
    else
        db_abort(&txn);
    return r < 0 ? r : verdict;
}

static void leave_one(struct tally *t, struct db_txn *txn, char kind, const char *name, uint64_t number)
{
    unsigned char key[KEY_SIZE];

    make_key(t, kind, name, number, key);
    (void)db_delete(txn, t->table, key, KEY_SIZE);
}

void tally_leave(struct tally *t, const char *user, const char *host, uint64_t number)
{
    struct db_txn *txn;

    if (db_begin(t->env, true, &txn) < 0)
        return; /* it goes with the process */
    leave_one(t, txn, 'u', user, number);
    leave_one(t, txn, 'h', host, number);
    (void)db_commit(&txn);
}

/* ---- life ---- */

/* What processes that were killed have left. */
static int sweep(struct tally *t)
{
    struct db_txn *txn;
    int64_t living;
    int r = db_begin(t->env, true, &txn);

    if (r < 0)
        return r;
    r = count_in(t, txn, NULL, 0, &living);
    if (r == 0)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}

/* One environment for each life of the machine: what was not synced may be torn after a crash of it, and process
 * numbers begin anew.  Those of earlier lives are removed. */
static int open_env(struct tally *t)
{
    struct buf dir = BUF_INIT, boot = BUF_INIT, path = BUF_INIT;
    struct dirent *e;
    DIR *d;
    int r = file_read_all("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, &boot);

    buf_truncate(&boot, strcspn(buf_cstr(&boot), "\n"));
    config_path(&dir, "logins");
    if (r == 0)
        r = file_make_dirs(buf_cstr(&dir), 0700, 0);
    d = r == 0 ? opendir(buf_cstr(&dir)) : NULL;
    while (d != NULL && (e = readdir(d)) != NULL) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s", buf_cstr(&dir), e->d_name);
        if (e->d_name[0] != '.' && strcmp(e->d_name, buf_cstr(&boot)) != 0)
            (void)file_remove_tree(buf_cstr(&path));
    }
    if (d != NULL)
        closedir(d);
    buf_printf(&dir, "/%s", buf_cstr(&boot));
    if (r == 0)
        r = db_open(DB_LMDB, buf_cstr(&dir), DB_NO_SYNC, MAP_SIZE, tables, &t->env, NULL);
    buf_free(&path);
    buf_free(&boot);
    buf_free(&dir);
    return r;
}

int tally_open(const char *service, const struct tally_limits *limits, struct tally **tally_r)
{
    struct tally *t;
    uint64_t start;
    int r;

    *tally_r = NULL;
    if (limits->per_user <= 0 && limits->per_host <= 0)
        return 0;
    t = xcalloc(1, sizeof(*t));
    t->service = xstrdup(service);
    t->limits = *limits;
    t->pid = (uint32_t)getpid();
    start = start_of(t->pid);
    put_number(t->start, start, START_SIZE);
    r = start != 0 ? open_env(t) : ERR_IO;
    if (r == 0) {
        t->table = db_table(t->env, tables[0]);
        r = sweep(t);
    }
    if (r < 0)
        tally_close(&t);
    *tally_r = t;
    return r;
}

void tally_close(struct tally **tally)
{
    if (*tally == NULL)
        return;
    db_close(&(*tally)->env);
    free((*tally)->service);
    free(*tally);
    *tally = NULL;
}
