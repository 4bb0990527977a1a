#include "lib/mboxlist/special-use.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"

static const struct {
    const char *name;
    bool settable;
} known[] = {
    {"\\All", false},      {"\\Archive", true}, {"\\Drafts", true}, {"\\Flagged", false},
    {"\\Important", true}, {"\\Junk", true},    {"\\Memos", true},  {"\\Scheduled", true},
    {"\\Sent", true},      {"\\Snoozed", true}, {"\\Trash", true},
};

/* Its place in the table; ARRAY_SIZE(known): none. */
static size_t find(const char *attribute)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(known) && !str_ieq(known[i].name, attribute))
        i++;
    return i;
}

bool special_use_is_known(const char *attribute)
{
    return find(attribute) < ARRAY_SIZE(known);
}

/* The uses as bits of the table. */
static int read_bits(const char *text, unsigned *bits_r)
{
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, text, " ");
    int r = 0;

    *bits_r = 0;
    for (size_t i = 0; i < words.count; i++) {
        size_t place = find(words.items[i]);

        if (place < ARRAY_SIZE(known))
            *bits_r |= 1u << place;
        else
            r = ERR_INVALID;
    }
    pool_free(&pool);
    return r;
}

int special_use_read(const char *text, struct pool *pool, const char **uses_r)
{
    struct buf uses = BUF_INIT;
    unsigned bits;
    int r = read_bits(text, &bits);

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (bits & 1u << i)
            buf_printf(&uses, "%s%s", uses.len > 0 ? " " : "", known[i].name);
    *uses_r = pool_strdup(pool, buf_cstr(&uses));
    buf_free(&uses);
    return r;
}

bool special_use_is_settable(const char *uses)
{
    unsigned bits;

    if (read_bits(uses, &bits) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if ((bits & 1u << i) && !known[i].settable)
            return false;
    return true;
}

bool special_use_overlap(const char *a, const char *b)
{
    unsigned bits_a, bits_b;

    read_bits(a, &bits_a);
    read_bits(b, &bits_b);
    return (bits_a & bits_b) != 0;
}

static bool shares_one(const struct mboxlist_record *record, const char *userid, const char *uses)
{
    struct pool *pool;
    bool yes;

    if (*record->special_use == '\0')
        return false;
    pool = pool_new(0);
    yes = special_use_overlap(mboxlist_special_use(record, userid, pool), uses);
    pool_free(&pool);
    return yes;
}

int special_use_holder(struct mboxlist *list, const char *tree, const char *userid, const char *uses,
                       const char *except, struct pool *pool, const char **name_r)
{
    static const char *const nobody[] = {NULL};
    const struct mboxlist_record *record;
    struct mboxlist_iter *it;
    int r;

    it = mboxlist_iter_visible(list, NULL, tree, nobody, MBOXLIST_TYPES_ACTIVE);
    while ((r = mboxlist_iter_next(it, &record)) == 1)
        if (shares_one(record, userid, uses) && (except == NULL || strcmp(record->name, except) != 0))
            break;
    if (r == 1)
        *name_r = pool_strdup(pool, record->name);
    mboxlist_iter_free(&it);
    if (r == 1)
        return 0;
    return r == 0 ? ERR_NOTFOUND : r;
}

const char *special_use_replace(const char *special_use, const char *userid, const char *uses,
                                struct pool *pool)
{
    struct str_list words = str_split(pool, special_use, "\t");
    struct buf to = BUF_INIT;
    const char *out;

    for (size_t i = 0; i + 1 < words.count; i += 2)
        if (strcmp(words.items[i], userid) != 0)
            buf_printf(&to, "%s\t%s\t", words.items[i], words.items[i + 1]);
    if (*uses != '\0')
        buf_printf(&to, "%s\t%s\t", userid, uses);
    out = pool_strdup(pool, buf_cstr(&to));
    buf_free(&to);
    return out;
}
