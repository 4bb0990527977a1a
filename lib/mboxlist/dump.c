/* dump.c: the list as JSON and back, one record at a time. */
#include "lib/mboxlist/dump.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist-private.h"
#include "lib/name/acl.h"

/* ---- out ---- */

/* The letters of Cyrus: e(mail), r(emote), z (reserved), i(ntermediate), m(oving). */
static const char *type_letters(const struct mboxlist_record *record)
{
    switch (record->type) {
    case MBOXLIST_REMOTE:
        return record->flags & MBOXLIST_MOVING ? "mr" : "r";
    case MBOXLIST_RESERVED:
        return "z";
    case MBOXLIST_INTERMEDIATE:
        return "i";
    default:
        return record->flags & MBOXLIST_MOVING ? "em" : "e";
    }
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    json_object_set_new(object, key, json_string(digits));
}

/* Text of unknown encoding: what is no UTF-8 has no place in JSON, and is left out. */
static void set_text(json_t *object, const char *key, const char *value)
{
    if (str_is_utf8(value, strlen(value)))
        json_object_set_new(object, key, json_string(value));
}

static bool add_acl_entry(const char *identifier, const char *rights, void *context)
{
    set_text(context, identifier, rights);
    return true;
}

static json_t *special_uses(const char *list)
{
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, list, "\t");
    json_t *object = json_object();

    for (size_t i = 0; i + 1 < words.count; i += 2)
        set_text(object, words.items[i], words.items[i + 1]);
    pool_free(&pool);
    return object;
}

static json_t *to_json(const struct mboxlist_record *record)
{
    json_t *object = json_object(), *acl = json_object();

    set_text(object, "name", record->name);
    set_number(object, "mtime", (uint64_t)record->mtime);
    set_number(object, "uidvalidity", record->uidvalidity);
    set_number(object, "createdmodseq", record->created_modseq);
    set_number(object, "foldermodseq", record->folder_modseq);
    set_text(object, "mbtype", type_letters(record));
    set_text(object, "partition", record->partition);
    if (record->server[0] != '\0')
        set_text(object, "server", record->server);
    acl_each(record->acl, add_acl_entry, acl);
    json_object_set_new(object, "acl", acl);
    set_text(object, "uniqueid", record->id);
    json_object_set_new(object, "name_history", json_array());
    if (record->special_use[0] != '\0')
        json_object_set_new(object, "special_use", special_uses(record->special_use));
    return object;
}

static int write_entry(const struct mboxlist_record *record, bool first, FILE *to)
{
    json_t *object = to_json(record), *name = json_string(record->name);
    char *key = json_dumps(name, JSON_ENCODE_ANY), *value = json_dumps(object, JSON_INDENT(1));
    int n = key == NULL || value == NULL ? -1 : fprintf(to, "%s%s: %s", first ? "" : ",\n", key, value);

    free(key);
    free(value);
    json_decref(name);
    json_decref(object);
    return n < 0 ? ERR_IO : 0;
}

int mboxlist_dump(struct mboxlist *list, const char *prefix, const char *partition, FILE *to)
{
    struct mboxlist_iter *it = mboxlist_iter_all(list, prefix, MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;
    bool first = true;
    int r;

    fputs("{\n", to);
    while ((r = mboxlist_iter_next(it, &record)) > 0) {
        if (partition != NULL && strcmp(partition, record->partition) != 0)
            continue;
        r = write_entry(record, first, to);
        if (r < 0)
            break;
        first = false;
    }
    mboxlist_iter_free(&it);
    fputs(first ? "}\n" : "\n}\n", to);
    if (r == 0 && (fflush(to) != 0 || ferror(to)))
        r = ERR_IO;
    return r;
}

/* ---- in ---- */

struct undump {
    struct mboxlist *list;
    struct mboxlist_txn *txn;
    FILE *from;
    struct pool *pool; /* of one record */
    uint64_t count;
    unsigned in_txn;
    char *error;
};

enum { UNDUMP_BATCH = 2000 };

static const char *get_text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "" : value;
}

/* A number, or one in a string. */
static uint64_t get_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    uint64_t n = 0;

    if (json_is_integer(value))
        return json_integer_value(value) < 0 ? 0 : (uint64_t)json_integer_value(value);
    if (json_is_string(value) && str_parse_u64(json_string_value(value), json_string_length(value), &n) < 0)
        n = 0;
    return n;
}

/* {identifier: rights} as the text of an ACL: "" for anything else. */
static const char *get_pairs(struct pool *pool, json_t *object)
{
    struct buf text = BUF_INIT;
    const char *key, *result;
    json_t *value;

    json_object_foreach(object, key, value) if (json_is_string(value) && strpbrk(key, "\t\r\n") == NULL)
        buf_printf(&text, "%s\t%s\t", key, json_string_value(value));
    result = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

/* Tombstones are not restored.  False: this entry is none of the list. */
static bool from_json(struct undump *u, json_t *object, const char *name, struct mboxlist_record *record)
{
    const char *letters = get_text(object, "mbtype");
    bool remote = strchr(letters, 'r') != NULL;

    if (strchr(letters, 'd') != NULL)
        return false;
    *record = (struct mboxlist_record){
        .name = name,
        .type = strchr(letters, 'z') != NULL   ? MBOXLIST_RESERVED
                : remote                       ? MBOXLIST_REMOTE
                : strchr(letters, 'i') != NULL ? MBOXLIST_INTERMEDIATE
                                               : MBOXLIST_LOCAL,
        .flags = strchr(letters, 'm') != NULL ? MBOXLIST_MOVING : 0,
        .id = get_text(object, "uniqueid"),
        .server = get_text(object, "server"),
        .partition = get_text(object, "partition"),
        .acl = get_pairs(u->pool, json_object_get(object, "acl")),
        .special_use = get_pairs(u->pool, json_object_get(object, "special_use")),
        .uidvalidity = (uint32_t)get_number(object, "uidvalidity"),
        .created_modseq = get_number(object, "createdmodseq"),
        .folder_modseq = get_number(object, "foldermodseq"),
        .mtime = (int64_t)get_number(object, "mtime"),
    };
    return true;
}

static int commit_undump(struct undump *u)
{
    int r = u->txn == NULL ? 0 : mboxlist_commit(&u->txn);

    u->in_txn = 0;
    return r;
}

static int put_entry(struct undump *u, json_t *object, const char *name)
{
    struct mboxlist_record record;
    int r = 0;

    pool_reset(u->pool);
    if (!from_json(u, object, name, &record))
        return 0;
    if (u->txn == NULL)
        r = mboxlist_begin(u->list, &u->txn);
    if (r == 0)
        r = mboxlist_txn_put(u->txn, &record);
    if (r < 0) {
        u->error = xstrprintf("%s: %s", name, error_text(r));
        return r;
    }
    u->count++;
    return ++u->in_txn == UNDUMP_BATCH ? commit_undump(u) : 0;
}

/* The next character that is no blank; EOF. */
static int next_char(struct undump *u)
{
    int c;

    do
        c = getc(u->from);
    while (c != EOF && isspace(c));
    return c;
}

static int syntax_error(struct undump *u, const char *what)
{
    u->error = xstrprintf("entry %llu: %s", (unsigned long long)u->count + 1, what);
    return ERR_SYNTAX;
}

/* One `"name": {...}`, whose first character was read. */
static int read_entry(struct undump *u, int c)
{
    json_error_t error;
    json_t *key, *object = NULL;
    int r;

    ungetc(c, u->from);
    key = json_loadf(u->from, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    if (json_is_string(key) && next_char(u) == ':')
        object = json_loadf(u->from, JSON_DISABLE_EOF_CHECK, &error);
    r = json_is_object(object) ? put_entry(u, object, json_string_value(key))
                               : syntax_error(u, key == NULL ? error.text : "expected \"name\": {...}");
    json_decref(key);
    json_decref(object);
    return r;
}

static int read_all(struct undump *u)
{
    int c, r = 0;

    if (next_char(u) != '{')
        return syntax_error(u, "expected {");
    c = next_char(u);
    while (r == 0 && c != '}') {
        r = read_entry(u, c);
        if (r < 0)
            break;
        c = next_char(u);
        if (c == ',')
            c = next_char(u);
        else if (c != '}')
            r = syntax_error(u, "expected , or }");
    }
    return r;
}

int mboxlist_undump(struct mboxlist *list, FILE *from, uint64_t *count_r, char **error_r)
{
    struct undump u = {.list = list, .from = from, .pool = pool_new(0)};
    int committed, r = read_all(&u);

    committed = commit_undump(&u);
    if (r == 0)
        r = committed;
    if (count_r != NULL)
        *count_r = u.count;
    if (error_r != NULL)
        *error_r = u.error != NULL ? u.error : r < 0 ? xstrdup(error_text(r)) : NULL;
    else
        free(u.error);
    pool_free(&u.pool);
    return r;
}
