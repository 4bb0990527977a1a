/* search.c: SEARCH keys, cheapest first: records, cached headers, header, body. */
#include "imap/store/search.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "imap/store/view-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"
#include "lib/charset/fold.h"
#include "lib/charset/words.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"

#define STEP_BYTES (4 * 1024 * 1024) /* of message files read in one step, about */
#define PIECE      (64 * 1024)       /* decoded at once */
#define HEADER_MAX 256               /* bytes of a header of which CACHE_HEADERS is not kept: see cache.c */

struct search {
    struct view *view;
    struct search_node *program;
    uint32_t seq, last; /* next to look at, and the last */
    struct searcher **searchers;
    size_t searcher_count, searcher_room;
    size_t bytes; /* read in this step */
};

/* The message that is looked at. */
struct candidate {
    struct search *search;
    const struct view_message *seen;
    struct message *message; /* NULL until a key needs more than the record: most need nothing else */
    struct file_map map;     /* of the file; mapped: it is open */
    bool mapped, gone;
};

/* ---- preparation ---- */

static unsigned cost(const struct search_node *n)
{
    unsigned most = 0;

    switch (n->op) {
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return 3;
    case SEARCH_HEADER:
        return message_header_is_cached(n->name) ? 1 : 2;
    default:
        break;
    }
    for (const struct search_node *c = n->children; c != NULL; c = c->next) {
        unsigned k = cost(c);

        most = k > most ? k : most;
    }
    return most;
}

/* Stable, by cost. */
static void order_children(struct search_node *n)
{
    struct search_node *sorted = NULL, **tail = &sorted;

    for (unsigned k = 0; k <= 3; k++) {
        for (struct search_node **at = &n->children; *at != NULL;) {
            struct search_node *c = *at;

            if (cost(c) != k) {
                at = &c->next;
                continue;
            }
            *at = c->next;
            c->next = NULL;
            *tail = c;
            tail = &c->next;
        }
    }
    n->children = sorted;
}

static void add_searcher(struct search *s, struct search_node *n)
{
    if (s->searcher_count == s->searcher_room) {
        s->searcher_room = s->searcher_room * 2 + 4;
        s->searchers = xreallocarray(s->searchers, s->searcher_room, sizeof(*s->searchers));
    }
    n->number = s->searcher_count;
    s->searchers[s->searcher_count++] = searcher_new(FOLD_UNICODE, n->text, strlen(n->text));
}

static int prepare(struct search *s, struct search_node *n)
{
    struct mailbox *m;
    int r = 0;

    if (n->op == SEARCH_HEADER || n->op == SEARCH_BODY || n->op == SEARCH_TEXT)
        add_searcher(s, n);
    if (n->op == SEARCH_KEYWORD) {
        r = view_mailbox(s->view, &m);
        if (r == 0)
            r = mailbox_flag_number(m, n->text);
        if (r < 0 && r != ERR_NOTFOUND)
            return r;
        n->number = r < 0 ? UINT64_MAX : (uint64_t)r;
        r = 0;
    }
    order_children(n);
    for (struct search_node *c = n->children; r == 0 && c != NULL; c = c->next)
        r = prepare(s, c);
    return r;
}

static void narrow(struct search *s, uint32_t first, uint32_t last)
{
    if (first > s->seq)
        s->seq = first;
    if (last < s->last)
        s->last = last;
}

/* A set that every hit is in bounds what must be looked at. */
static int set_bounds(struct search *s, const struct search_node *n)
{
    uint32_t low, high;
    int r = 0;

    if (n->op == SEARCH_SEQS) {
        narrow(s, uid_set_first(&n->set), uid_set_last(&n->set));
    } else if (n->op == SEARCH_UIDS && n->set.count > 0) {
        r = view_uids_to_seqs(s->view, uid_set_first(&n->set), uid_set_last(&n->set), &low, &high);
        narrow(s, low, high);
    }
    for (const struct search_node *c = n->children; r == 0 && n->op == SEARCH_AND && c != NULL; c = c->next)
        r = set_bounds(s, c);
    return r;
}

int search_begin(struct view *view, struct search_node *program, struct search **search_r)
{
    struct search *s = xcalloc(1, sizeof(*s));
    int r;

    s->view = view;
    s->program = program;
    s->seq = 1;
    s->last = view_exists(view);
    r = prepare(s, program);
    if (r == 0)
        r = set_bounds(s, program);
    if (r < 0)
        search_end(&s);
    *search_r = s;
    return r;
}

void search_end(struct search **search)
{
    struct search *s = *search;

    if (s == NULL)
        return;
    for (size_t i = 0; i < s->searcher_count; i++)
        searcher_free(&s->searchers[i]);
    free(s->searchers);
    free(s);
    *search = NULL;
}

/* ---- text ---- */

static struct message *message_of(struct candidate *c)
{
    if (c->message == NULL)
        message_open(c->search->view->mailbox, c->seen->number, &c->seen->record, &c->message);
    return c->message;
}

/* The message file in memory, or false if it is gone. */
static bool open_file(struct candidate *c)
{
    int fd;

    if (c->mapped || c->gone)
        return c->mapped;
    fd = message_fd(message_of(c));
    c->mapped = fd >= 0 && file_map_open(fd, &c->map) == 0;
    c->gone = !c->mapped;
    if (c->mapped)
        c->search->bytes += c->map.size;
    return c->mapped;
}

static bool find_in_field(struct searcher *searcher, const struct mail_field *field)
{
    struct buf unfolded = BUF_INIT, text = BUF_INIT;
    bool found;

    mail_field_unfold(field, &unfolded);
    words_decode(unfolded.data, unfolded.len, &text);
    found = searcher_find(searcher, buf_cstr(&text), text.len);
    buf_free(&unfolded);
    buf_free(&text);
    return found;
}

/* name NULL: every field, its name too. */
static bool find_in_header(struct searcher *searcher, const char *header, size_t n, const char *name)
{
    struct mail_header_iter it;
    struct mail_field field;

    mail_header_begin(&it, header, n);
    while (mail_header_next(&it, &field)) {
        if (name != NULL && !mail_field_is(&field, name))
            continue;
        if (find_in_field(searcher, &field))
            return true;
        if (name == NULL && searcher_find(searcher, field.name, field.name_len))
            return true;
    }
    return false;
}

static bool match_header(struct candidate *c, const struct search_node *n)
{
    struct searcher *searcher = c->search->searchers[n->number];
    const char *data;
    size_t len;

    if (message_header_is_cached(n->name) && c->seen->record.header_bytes <= HEADER_MAX * 1024) {
        if (message_item(message_of(c), CACHE_HEADERS, &data, &len) < 0)
            return false;
        return find_in_header(searcher, data, len, n->name);
    }
    if (!open_file(c))
        return false;
    len = c->seen->record.header_bytes < c->map.size ? c->seen->record.header_bytes : c->map.size;
    return find_in_header(searcher, c->map.data, len, n->name);
}

/* Content of a text part, decoded to UTF-8 piece by piece.  An unknown charset is searched as it stands. */
static bool find_in_part(struct searcher *searcher, const char *data, size_t n,
                         const struct mail_entry *entry)
{
    char charset[64] = "";
    struct buf decoded = BUF_INIT, text = BUF_INIT;
    struct converter *converter = NULL;
    struct decoder decoder;
    size_t at = 0;
    bool found = false;

    if (entry->charset_len < sizeof(charset)) {
        memcpy(charset, entry->charset, entry->charset_len);
        charset[entry->charset_len] = '\0';
    }
    (void)converter_new(charset, &converter);
    decoder_init(&decoder, entry->decoding);
    searcher_reset(searcher);
    do {
        size_t piece = n - at < PIECE ? n - at : PIECE;

        buf_reset(&decoded);
        buf_reset(&text);
        decoder_feed(&decoder, data + at, piece, &decoded);
        at += piece;
        if (at == n)
            decoder_finish(&decoder, &decoded, NULL);
        if (converter != NULL)
            converter_feed(converter, decoded.data, decoded.len, &text);
        else
            charset_repair_utf8(decoded.data, decoded.len, &text);
        found = searcher_feed(searcher, buf_cstr(&text), text.len);
    } while (at < n && !found);
    converter_free(&converter);
    buf_free(&decoded);
    buf_free(&text);
    return found;
}

static bool find_in_body(struct candidate *c, struct searcher *searcher)
{
    struct mail_table_iter it;
    struct mail_entry entry;
    const char *table;
    size_t len;

    if (message_item(message_of(c), CACHE_PARTS, &table, &len) < 0 || !open_file(c) ||
        mail_table_begin(&it, table, len) < 0)
        return false;
    while (mail_table_next(&it, &entry, NULL) == 1) {
        uint64_t start = entry.header_start + entry.header_size;

        if (entry.kind != MAIL_LEAF || !entry.is_text || start > c->map.size ||
            entry.body_size > c->map.size - start)
            continue;
        if (find_in_part(searcher, c->map.data + start, (size_t)entry.body_size, &entry))
            return true;
    }
    return false;
}

static bool match_text(struct candidate *c, const struct search_node *n)
{
    struct searcher *searcher = c->search->searchers[n->number];
    size_t len;

    if (n->text[0] == '\0')
        return true;
    if (n->op == SEARCH_TEXT) {
        if (!open_file(c))
            return false;
        len = c->seen->record.header_bytes < c->map.size ? c->seen->record.header_bytes : c->map.size;
        if (find_in_header(searcher, c->map.data, len, NULL))
            return true;
    }
    return find_in_body(c, searcher);
}

/* ---- keys ---- */

static bool match_date(const struct mailbox_record *r, const struct search_node *n)
{
    int64_t day, internal = mail_date_day(r->internal_date, r->internal_zone);
    int64_t sent = mail_date_day(r->sent_date, r->sent_zone);

    day = n->op >= SEARCH_SENTBEFORE ? sent : internal;
    switch (n->op) {
    case SEARCH_BEFORE:
    case SEARCH_SENTBEFORE:
        return day < n->day;
    case SEARCH_ON:
    case SEARCH_SENTON:
        return day == n->day;
    default:
        return day >= n->day;
    }
}

static bool match(struct candidate *c, const struct search_node *n);

static bool match_children(struct candidate *c, const struct search_node *n)
{
    for (const struct search_node *child = n->children; child != NULL; child = child->next) {
        if (match(c, child) == (n->op == SEARCH_OR))
            return n->op == SEARCH_OR;
    }
    return n->op != SEARCH_OR;
}

static bool match(struct candidate *c, const struct search_node *n)
{
    const struct mailbox_record *r = &c->seen->record;

    switch (n->op) {
    case SEARCH_ALL:
        return true;
    case SEARCH_AND:
    case SEARCH_OR:
        return match_children(c, n);
    case SEARCH_NOT:
        return !match(c, n->children);
    case SEARCH_SEQS:
        return uid_set_has(&n->set, c->seen->seq);
    case SEARCH_UIDS:
        return uid_set_has(&n->set, r->uid);
    case SEARCH_FLAG:
        return (r->system & n->number) != 0;
    case SEARCH_RECENT:
        return c->seen->recent;
    case SEARCH_KEYWORD:
        return n->number < USER_FLAGS_MAX && record_has_user_flag(r, (unsigned)n->number);
    case SEARCH_LARGER:
        return r->size > n->number;
    case SEARCH_SMALLER:
        return r->size < n->number;
    case SEARCH_MODSEQ:
        return r->modseq >= n->number;
    case SEARCH_HEADER:
        return match_header(c, n);
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return match_text(c, n);
    default:
        return match_date(r, n);
    }
}

/* ---- going through the view ---- */

static bool look_at(struct search *s, const struct view_message *seen)
{
    struct candidate c = {.search = s, .seen = seen};
    bool hit;

    hit = match(&c, s->program);
    if (c.mapped)
        file_map_close(&c.map);
    message_close(&c.message);
    return hit;
}

int search_step(struct search *s, uint32_t count, bool uids, struct uid_set *hits)
{
    struct view_message batch[RECORD_BATCH];
    int r = 0;

    s->bytes = 0;
    while (count > 0 && s->seq <= s->last && s->bytes < STEP_BYTES) {
        uint32_t want = s->last - s->seq + 1, got;

        want = want < count ? want : count;
        r = view_read(s->view, s->seq, want < RECORD_BATCH ? want : RECORD_BATCH, batch, &got);
        if (r < 0 || got == 0)
            return r;
        for (uint32_t i = 0; i < got && s->bytes < STEP_BYTES; i++, s->seq++, count--) {
            uint32_t n = uids ? batch[i].record.uid : batch[i].seq;

            if (look_at(s, &batch[i]))
                r = uid_set_add(hits, n, n);
            if (r < 0)
                return r;
        }
    }
    return s->seq <= s->last ? 1 : 0;
}
