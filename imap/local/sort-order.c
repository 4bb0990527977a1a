/* sort-order.c: rows and their order. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/sort.h"
#include "imap/session/annotate-args.h"
#include "imap/session/capability.h"
#include "imap/store/annotate.h"
#include "imap/store/order.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/stepsort.h"
#include "lib/base/str.h"
#include "lib/charset/fold.h"
#include "lib/charset/words.h"
#include "lib/mail/address.h"
#include "lib/mail/header.h"
#include "lib/mail/text.h"

enum { STEP_ROWS = 16 * 1024 /* moved in a step */ };

/* ---- criteria ---- */

static const struct {
    const char *name;
    enum sort_key key;
    const char *field; /* of a string; NULL: a number */
    const char *capability;
} keys[] = {
    [SORT_ANNOTATION] = {"ANNOTATION", SORT_ANNOTATION, NULL, ANNOTATE_CAPABILITY},
    [SORT_ARRIVAL] = {"ARRIVAL", SORT_ARRIVAL, NULL, NULL},
    [SORT_CC] = {"CC", SORT_CC, "Cc", NULL},
    [SORT_DATE] = {"DATE", SORT_DATE, NULL, NULL},
    [SORT_DISPLAYFROM] = {"DISPLAYFROM", SORT_DISPLAYFROM, "From", "SORT=DISPLAY"},
    [SORT_DISPLAYTO] = {"DISPLAYTO", SORT_DISPLAYTO, "To", "SORT=DISPLAY"},
    [SORT_FROM] = {"FROM", SORT_FROM, "From", NULL},
    [SORT_SIZE] = {"SIZE", SORT_SIZE, NULL, NULL},
    [SORT_SUBJECT] = {SORT_SUBJECT_NAME, SORT_SUBJECT, "Subject", NULL},
    [SORT_TO] = {"TO", SORT_TO, "To", NULL},
};

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

static int parse_key(struct imap_args *args, enum sort_key *key_r)
{
    const char *name;

    if (imap_args_atom(args, &name) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!str_ieq(name, keys[i].name) ||
            (keys[i].capability != NULL && capability_is_suppressed(keys[i].capability)))
            continue;
        *key_r = keys[i].key;
        return 0;
    }
    return fail(args, "Unknown sort criterion");
}

/* "ANNOTATION" SP entry SP attribute, behind the word. */
static int parse_annotation(struct imap_args *args, struct sort_criterion *c)
{
    const char *attribute;

    if (imap_args_space(args) < 0 || imap_args_astring(args, &c->entry) < 0 || imap_args_space(args) < 0 ||
        imap_args_astring(args, &attribute) < 0)
        return ERR_SYNTAX;
    if (!annotate_is_entry(c->entry))
        return fail(args, "Invalid annotation entry");
    c->is_private = strcmp(attribute, "value.priv") == 0;
    return c->is_private || strcmp(attribute, "value.shared") == 0
               ? 0
               : fail(args, "Annotations are sorted by value.priv or value.shared");
}

int sort_parse(struct imap_args *args, struct sort_criteria *criteria)
{
    *criteria = (struct sort_criteria){0};
    if (imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    do {
        struct sort_criterion *c = &criteria->items[criteria->count];

        if (criteria->count == SORT_CRITERIA_MAX)
            return fail(args, "Too many sort criteria");
        if (criteria->count > 0 && imap_args_space(args) < 0)
            return ERR_SYNTAX;
        c->reverse = imap_args_word(args, "REVERSE");
        if ((c->reverse && imap_args_space(args) < 0) || parse_key(args, &c->key) < 0)
            return ERR_SYNTAX;
        if (c->key == SORT_ANNOTATION && parse_annotation(args, c) < 0)
            return ERR_SYNTAX;
        criteria->count++;
    } while (!imap_args_skip(args, ')'));
    return 0;
}

enum search_wants sort_wants(const struct sort_criteria *criteria)
{
    enum search_wants wants = SEARCH_RECORDS;

    for (unsigned i = 0; i < criteria->count; i++) {
        if (keys[criteria->items[i].key].field != NULL)
            wants = SEARCH_MESSAGES;
    }
    return wants;
}

/* ---- rows ---- */

/* A number in a form that compares as unsigned; or a string's first eight bytes, and where all of it is. */
struct value {
    uint64_t prefix;
    uint32_t at, len;
};

struct sorter {
    struct sort_criteria criteria;
    struct order_query *orders
        [SORT_CRITERIA_MAX]; /* of texts of headers; their values are what stands for the text at first */
    uint32_t *numbers;       /* of each row */
    struct value *values;    /* criteria.count of each row */
    size_t count, room;
    size_t valued; /* rows whose texts have got their values */
    struct buf texts;
    struct stepsort order; /* rows */
    struct buf scratch, folded;
};

static int compare(const void *a, const void *b, void *context);

struct sorter *sorter_new(const struct sort_criteria *criteria)
{
    struct sorter *s = xcalloc(1, sizeof(*s));

    s->criteria = *criteria;
    for (unsigned i = 0; i < criteria->count; i++) {
        const char *field = keys[criteria->items[i].key].field;

        if (field != NULL)
            s->orders[i] = order_begin(criteria->view, keys[criteria->items[i].key].name);
    }
    stepsort_begin(&s->order, compare, s);
    return s;
}

void sorter_free(struct sorter **sp)
{
    struct sorter *s = *sp;

    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->criteria.count; i++)
        order_end(&s->orders[i]);
    free(s->numbers);
    free(s->values);
    stepsort_free(&s->order);
    buf_free(&s->texts);
    buf_free(&s->scratch);
    buf_free(&s->folded);
    free(s);
    *sp = NULL;
}

bool sorter_needs(void *sorter, const struct view_message *seen)
{
    struct sorter *s = sorter;
    uint32_t token;

    for (unsigned i = 0; i < s->criteria.count; i++) {
        if (s->orders[i] != NULL && !order_knows(s->orders[i], &seen->record, &token))
            return true;
    }
    return false;
}

/* ---- the strings ---- */

void sort_fold(const char *text, size_t n, struct buf *to)
{
    static const char replacement[] = "\xef\xbf\xbd";

    if (memmem(text, n, replacement, 3) == NULL && str_is_utf8(text, n)) {
        fold_text(FOLD_UNICODE, text, n, to);
        return;
    }
    buf_putc(to, '\xff'); /* is in no UTF-8 */
    buf_append(to, text, n);
}

/* The text of an address for a criterion, raw or decoded. */
static void put_address(const struct mail_address *a, bool display, struct buf *to)
{
    if (display && a->name != NULL)
        words_decode(a->name, strlen(a->name), to);
    if (to->len > 0 || a->mailbox == NULL)
        return;
    if (display && a->host != NULL)
        buf_printf(to, "%s@%s", a->mailbox, a->host);
    else
        words_decode(a->mailbox, strlen(a->mailbox), to);
}

static void put_first_address(const struct mail_field *field, bool display, struct buf *to)
{
    struct pool *pool = pool_new(0);
    const struct mail_address *a = mail_addresses_parse(pool, field->value, field->value_len, 1);

    if (a != NULL)
        put_address(a, display, to);
    pool_free(&pool);
}

void sort_subject(const struct mail_field *field, struct buf *scratch, struct buf *to, bool *is_reply_r)
{
    buf_reset(scratch);
    mail_base_subject(field->value, field->value_len, scratch, is_reply_r);
    sort_fold(buf_cstr(scratch), scratch->len, to);
    if (to->len > SORT_TEXT_MAX)
        buf_truncate(to, SORT_TEXT_MAX);
}

static void sort_address(const struct mail_field *field, bool display, struct buf *scratch, struct buf *to)
{
    buf_reset(scratch);
    put_first_address(field, display, scratch);
    sort_fold(buf_cstr(scratch), scratch->len, to);
    if (to->len > SORT_TEXT_MAX)
        buf_truncate(to, SORT_TEXT_MAX);
}

/* What a message has for a criterion, folded, in s->folded.  ERR_EXPUNGED: nobody knows any more. */
static int read_text(struct sorter *s, struct message *message, enum sort_key key)
{
    struct mail_field field;
    const char *data;
    size_t len;
    int r = message_item(message, CACHE_HEADERS, &data, &len);

    buf_reset(&s->folded);
    if (r < 0 || !mail_header_find(data, len, keys[key].field, &field))
        return r;
    if (key == SORT_SUBJECT)
        sort_subject(&field, &s->scratch, &s->folded, NULL);
    else
        sort_address(&field, key == SORT_DISPLAYFROM || key == SORT_DISPLAYTO, &s->scratch, &s->folded);
    return 0;
}

/* What stands for the text of a message whose file and cache entry are gone is the empty one, as if the field were absent. */
static int take_text(struct sorter *s, const struct search_hit *hit, struct order_query *order,
                     enum sort_key key, uint32_t *token_r)
{
    int r;

    if (order_knows(order, &hit->seen->record, token_r))
        return 0;
    r = read_text(s, hit->message, key);
    if (r < 0 && r != ERR_EXPUNGED)
        return r;
    *token_r = order_add(order, &hit->seen->record, buf_cstr(&s->folded), s->folded.len, r == 0);
    return 0;
}

/* The same of an annotation's value; one that cannot be read is as if it were absent. */
static void read_annotation(struct sorter *s, const struct view_message *message,
                            const struct sort_criterion *criterion)
{
    const char *owner = criterion->is_private ? s->criteria.userid : "";
    const struct annotate_item *item;
    struct annotate_items items;
    struct pool *pool;

    buf_reset(&s->folded);
    if (message->record.annotation_size == 0)
        return;
    pool = pool_new(0);
    item = annotate_read_view(s->criteria.view, message, pool, &items) == 0
               ? annotate_find(&items, owner, criterion->entry)
               : NULL;
    if (item != NULL)
        sort_fold(item->value, item->len, &s->folded);
    if (s->folded.len > SORT_TEXT_MAX)
        buf_truncate(&s->folded, SORT_TEXT_MAX);
    pool_free(&pool);
}

/* The first eight bytes as a number that compares as they do. */
static uint64_t prefix_of(const char *s, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < 8; i++)
        v = v << 8 | (i < n ? (unsigned char)s[i] : 0);
    return v;
}

/* Signed numbers in the order of unsigned ones. */
static uint64_t biased(int64_t n)
{
    return (uint64_t)n ^ UINT64_C(1) << 63;
}

static void take_annotation(struct sorter *s, const struct view_message *seen,
                            const struct sort_criterion *criterion, struct value *value_r)
{
    read_annotation(s, seen, criterion);
    value_r->prefix = prefix_of(buf_cstr(&s->folded), s->folded.len);
    value_r->at = (uint32_t)s->texts.len;
    value_r->len = (uint32_t)s->folded.len;
    buf_append(&s->texts, buf_cstr(&s->folded), s->folded.len);
}

static int make_value(struct sorter *s, const struct search_hit *hit, unsigned i, struct value *value_r)
{
    const struct mailbox_record *record = &hit->seen->record;
    const struct sort_criterion *criterion = &s->criteria.items[i];
    uint32_t token;
    int r = 0;

    *value_r = (struct value){0};
    switch (criterion->key) {
    case SORT_ARRIVAL:
        value_r->prefix = biased(record->internal_date);
        break;
    case SORT_DATE:
        value_r->prefix = biased(record->sent_date);
        break;
    case SORT_SIZE:
        value_r->prefix = record->size;
        break;
    case SORT_ANNOTATION:
        take_annotation(s, hit->seen, criterion, value_r);
        break;
    default:
        r = take_text(s, hit, s->orders[i], criterion->key, &token);
        value_r->prefix = r == 0 ? token : 0;
    }
    return r;
}

static void make_room(struct sorter *s)
{
    if (s->count < s->room)
        return;
    s->room = s->room * 2 + 256;
    s->numbers = xreallocarray(s->numbers, s->room, sizeof(*s->numbers));
    s->values = xreallocarray(s->values, s->room, s->criteria.count * sizeof(*s->values));
}

/* Bytes that it holds; what is kept for others is not counted. */
static size_t bytes_of(const struct sorter *s)
{
    size_t row = sizeof(*s->numbers) * 3 + sizeof(*s->values) * s->criteria.count;
    size_t n = s->count * row + s->texts.len;

    for (unsigned i = 0; i < s->criteria.count; i++)
        n += s->orders[i] != NULL ? order_bytes(s->orders[i]) : 0;
    return n;
}

int sorter_add(struct sorter *s, const struct search_hit *hit, uint32_t number)
{
    int r = 0;

    if (bytes_of(s) > SORT_MEMORY_MAX)
        return ERR_LIMIT;
    make_room(s);
    s->numbers[s->count] = number;
    for (unsigned i = 0; r == 0 && i < s->criteria.count; i++)
        r = make_value(s, hit, i, &s->values[s->count * s->criteria.count + i]);
    stepsort_add(&s->order, (uint32_t)s->count++);
    return r;
}

/* ---- the order ---- */

static int compare_texts(const struct sorter *s, const struct value *a, const struct value *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int r = n > 8 ? memcmp(s->texts.data + a->at + 8, s->texts.data + b->at + 8, n - 8) : 0;

    return r != 0 ? r : (a->len > b->len) - (a->len < b->len);
}

/* Rows that are equal stay in the mailbox's order, which is that of their numbers. */
static int compare_rows(const struct sorter *s, uint32_t a, uint32_t b)
{
    const struct value *va = &s->values[(size_t)a * s->criteria.count];
    const struct value *vb = &s->values[(size_t)b * s->criteria.count];

    for (unsigned i = 0; i < s->criteria.count; i++, va++, vb++) {
        int r = (va->prefix > vb->prefix) - (va->prefix < vb->prefix);

        if (r == 0)
            r = compare_texts(s, va, vb);
        if (r != 0)
            return s->criteria.items[i].reverse ? -r : r;
    }
    return (a > b) - (a < b);
}

static int compare(const void *a, const void *b, void *context)
{
    return compare_rows(context, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* The values of the texts of some rows, for what stood for them. */
static void take_values(struct sorter *s, size_t *left)
{
    for (; s->valued<s->count && * left> 0; s->valued++, --*left) {
        struct value *row = &s->values[s->valued * s->criteria.count];

        for (unsigned i = 0; i < s->criteria.count; i++) {
            if (s->orders[i] != NULL)
                row[i].prefix = order_value(s->orders[i], (uint32_t)row[i].prefix);
        }
    }
}

int sorter_step(struct sorter *s)
{
    size_t left = STEP_ROWS;

    for (unsigned i = 0; i < s->criteria.count; i++) {
        if (s->orders[i] != NULL && order_step(s->orders[i]) > 0)
            return 1;
    }
    take_values(s, &left);
    return s->valued == s->count && stepsort_step(&s->order, &left) ? 0 : 1;
}

size_t sorter_count(const struct sorter *s)
{
    return s->count;
}

uint32_t sorter_number(const struct sorter *s, size_t i)
{
    return s->numbers[s->order.items[i]];
}
