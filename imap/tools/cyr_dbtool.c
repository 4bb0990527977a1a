/* cyr_dbtool: looks into a table of our databases and changes it, whatever engine is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/tools/tool.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

static const char program[] = "cyr_dbtool";

struct work {
    const char *config;
    bool base64, read_only;
    struct pool *pool;
    char *path;             /* of the environment */
    const char *table_name; /* NULL: to be chosen */
    struct str_list tables;
    struct db_env *env;
    unsigned table;
    struct db_txn *txn; /* of BEGIN in a batch */
};

/* ---- which database ---- */

static bool is_environment(const char *path)
{
    char *data = xstrprintf("%s/data.mdb", path);
    struct stat st;
    bool is = stat(data, &st) == 0 && S_ISREG(st.st_mode);

    free(data);
    return is;
}

/* ENVIRONMENT, ENVIRONMENT/TABLE, or either with Cyrus's ".db" behind. */
static bool find_environment(struct work *w, const char *file)
{
    size_t len = strlen(file);
    char *slash;

    w->path = pool_strdup(w->pool, file);
    while (len > 1 && w->path[len - 1] == '/')
        w->path[--len] = '\0';
    if (!is_environment(w->path) && str_has_suffix(w->path, ".db"))
        w->path[len - 3] = '\0';
    if (is_environment(w->path))
        return true;
    slash = strrchr(w->path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    w->table_name = slash + 1;
    return is_environment(w->path);
}

static bool choose_table(struct work *w)
{
    if (w->table_name == NULL && w->tables.count == 1)
        w->table_name = w->tables.items[0];
    if (w->table_name == NULL && str_list_has(&w->tables, "names"))
        w->table_name = "names"; /* of the mailbox list, what Cyrus calls mailboxes.db */
    if (w->table_name != NULL && str_list_has(&w->tables, w->table_name))
        return true;
    fprintf(stderr, "%s: which table? %s has", program, w->path);
    for (size_t i = 0; i < w->tables.count; i++)
        fprintf(stderr, " %s", w->tables.items[i]);
    fputc('\n', stderr);
    return false;
}

static int open_database(struct work *w, const char *file)
{
    char *error = NULL;
    int r;

    if (!find_environment(w, file)) {
        fprintf(stderr, "%s: %s: no such database\n", program, file);
        return EX_NOINPUT;
    }
    r = db_table_names(w->path, w->pool, &w->tables);
    if (r == 0 && !choose_table(w))
        return EX_USAGE;
    if (r == 0)
        r = db_open(DB_LMDB, w->path, w->read_only ? DB_READ_ONLY : 0, 0,
                    (const char *const *)w->tables.items, &w->env, &error);
    if (r != 0) {
        fprintf(stderr, "%s: %s\n", program, error != NULL ? error : error_text(r));
        free(error);
        return EX_TEMPFAIL;
    }
    w->table = db_table(w->env, w->table_name);
    return 0;
}

/* ---- bytes in and out ---- */

static int decode(const struct work *w, const char *text, struct buf *to)
{
    buf_reset(to);
    if (w->base64)
        return str_base64_decode(to, text, strlen(text));
    buf_puts(to, text);
    return 0;
}

static void print(const struct work *w, const struct db_value *value)
{
    struct buf text = BUF_INIT;

    if (w->base64)
        str_base64_encode(&text, value->data, value->len);
    else
        buf_append(&text, value->data, value->len);
    fwrite(buf_cstr(&text), 1, text.len, stdout);
    buf_free(&text);
}

static int print_pair(const struct db_value *key, const struct db_value *value, void *context)
{
    const struct work *w = context;

    print(w, key);
    putchar('\t');
    print(w, value);
    putchar('\n');
    return 0;
}

/* ---- actions, in a transaction ---- */

typedef int action_fn(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value);

static int do_get(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value)
{
    struct db_value found;
    int r = db_get(txn, w->table, key->data, key->len, &found);

    (void)value;
    if (r == 0) {
        print(w, &found);
        putchar('\n');
    }
    return r;
}

static int do_set(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value)
{
    return db_put(txn, w->table, key->data, key->len, buf_cstr(value), value->len);
}

static int do_delete(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value)
{
    (void)value;
    return db_delete(txn, w->table, key->data, key->len);
}

static int do_show(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value)
{
    (void)value;
    return db_scan(txn, w->table, NULL, 0, buf_cstr(key), key->len, print_pair, w);
}

static int count_pair(const struct db_value *key, const struct db_value *value, void *context)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)context;
    return 0;
}

/* Every page of the table is read. */
static int do_consistent(struct work *w, struct db_txn *txn, const struct buf *key, const struct buf *value)
{
    uint64_t found = 0, expected;
    int r = db_scan(txn, w->table, NULL, 0, "", 0, count_pair, &found);

    (void)key;
    (void)value;
    if (r == 0)
        r = db_count(txn, w->table, &expected);
    if (r == 0 && found != expected)
        r = ERR_CORRUPT;
    if (r == 0)
        puts("Yes, consistent");
    return r;
}

static const struct {
    const char *name;
    int least, most; /* arguments */
    bool writes;
    action_fn *fn;
} actions[] = {
    {"get", 1, 1, false, do_get},
    {"set", 2, 2, true, do_set},
    {"delete", 1, 1, true, do_delete},
    {"show", 0, 1, false, do_show},
    {"consistent", 0, 0, false, do_consistent},
};

/* The row, or -1. */
static int find_action(const char *name, int arguments)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (str_ieq(name, actions[i].name) && arguments >= actions[i].least && arguments <= actions[i].most)
            return (int)i;
    return -1;
}

static int act(struct work *w, int action, char *const *arguments, int count)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    struct db_txn *txn = w->txn;
    int r = 0;

    if (count > 0)
        r = decode(w, arguments[0], &key);
    if (r == 0 && count > 1)
        r = decode(w, arguments[1], &value);
    if (r == 0 && count > 0 && actions[action].fn != do_show && (key.len == 0 || key.len > DB_KEY_MAX))
        r = ERR_TOOBIG;
    if (r == 0 && actions[action].writes && w->read_only)
        r = ERR_READONLY;
    if (r == 0 && txn == NULL)
        r = db_begin(w->env, actions[action].writes, &txn);
    if (r == 0)
        r = actions[action].fn(w, txn, &key, &value);
    if (w->txn == NULL && txn != NULL && r == 0 && actions[action].writes)
        r = db_commit(&txn);
    if (w->txn == NULL)
        db_abort(&txn);
    buf_free(&key);
    buf_free(&value);
    return r;
}

/* ---- batch ---- */

static int batch_line(struct work *w, char *line)
{
    char *arguments[3], *rest = line;
    int count = 0, action;

    /* the value may contain tabs */
    while (rest != NULL && count < 3) {
        arguments[count] = count < 2 ? strsep(&rest, "\t") : rest;
        count++;
    }
    if (str_ieq(line, "BEGIN"))
        return w->txn != NULL ? ERR_BUSY : db_begin(w->env, !w->read_only, &w->txn);
    if (str_ieq(line, "COMMIT"))
        return w->txn == NULL ? ERR_INVALID : db_commit(&w->txn);
    if (str_ieq(line, "ABORT")) {
        db_abort(&w->txn);
        return 0;
    }
    action = find_action(arguments[0], count - 1);
    return action < 0 ? ERR_SYNTAX : act(w, action, arguments + 1, count - 1);
}

static int batch(struct work *w)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int r = 0;

    while (r == 0 && (n = getline(&line, &room, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        r = line[0] == '\0' ? 0 : batch_line(w, line);
        if (r == ERR_NOTFOUND) { /* of GET and DELETE: no reason to end */
            fprintf(stderr, "%s: not found\n", program);
            r = 0;
        }
    }
    db_abort(&w->txn); /* without COMMIT nothing is changed */
    free(line);
    return r;
}

/* ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-b] [-R] [-T] database[/table] engine get key\n"
            "       ... set key value | delete key | show [prefix] | consistent | batch\n",
            program);
    return EX_USAGE;
}

static int run(struct work *w, char **argv, int argc)
{
    int action = argc < 3 ? -1 : find_action(argv[2], argc - 3), status, r;
    bool is_batch = argc == 3 && strcmp(argv[2], "batch") == 0;

    if (action < 0 && !is_batch)
        return usage();
    status = open_database(w, argv[0]);
    if (status != 0)
        return status;
    r = is_batch ? batch(w) : act(w, action, argv + 3, argc - 3);
    if (r != 0 && r != ERR_NOTFOUND)
        fprintf(stderr, "%s: %s\n", program, error_text(r));
    db_close(&w->env);
    if (r == 0)
        return fflush(stdout) == 0 ? 0 : EX_IOERR;
    return r == ERR_NOTFOUND ? 1 : r == ERR_SYNTAX || r == ERR_TOOBIG ? EX_DATAERR : EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
    struct work w = {.pool = pool_new(0)};
    bool good = true;
    int c, status;

    while ((c = getopt(argc, argv, "+C:bRTMn")) != -1) {
        if (c == 'C')
            w.config = optarg;
        else if (c == 'b')
            w.base64 = true;
        else if (c == 'R')
            w.read_only = true;
        else if (c != 'T' && c != 'M' &&
                 c != 'n') /* every action is a transaction; one order of keys; none is made */
            good = false;
    }
    status = good ? tool_start(program, w.config) : usage();
    if (status == 0)
        status = run(&w, argv + optind, argc - optind);
    pool_free(&w.pool);
    return status;
}
