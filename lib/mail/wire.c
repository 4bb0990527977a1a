#include "lib/mail/wire.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/mail/header.h"

enum {
    QUOTED_MAX = 1000,                      /* longer strings are literals */
    ADDRESSES_MAX = 2 * MAIL_ADDRESSES_MAX, /* in all envelopes of a message */
};

/* What Cyrus shows where an address has no '@': NIL would be a group. */
#define NO_HOST "unspecified-domain"

struct renderer {
    struct buf *to;
    const char *data;
    enum mail_wire_mode mode;
    int result;
    size_t addresses; /* that may still be written */
    bool extended;    /* BODYSTRUCTURE */
};

/* ---- strings ---- */

int mail_wire_string(struct buf *to, const char *s, size_t n, enum mail_wire_mode mode)
{
    bool eight_bit = false, quotable = n <= QUOTED_MAX;
    size_t nuls = 0;

    for (size_t i = 0; i < n; i++) {
        nuls += s[i] == '\0';
        eight_bit |= (unsigned char)s[i] >= 0x80;
        if (s[i] == '\r' || s[i] == '\n')
            quotable = false;
    }
    if (eight_bit && (mode != MAIL_WIRE_UTF8 || !str_is_utf8(s, n)))
        quotable = false;
    if (quotable)
        buf_putc(to, '"');
    else
        buf_printf(to, "{%zu}\r\n", n - nuls);
    for (size_t i = 0; i < n; i++) {
        if (quotable && (s[i] == '"' || s[i] == '\\'))
            buf_putc(to, '\\');
        if (s[i] != '\0')
            buf_putc(to, s[i]);
    }
    if (quotable)
        buf_putc(to, '"');
    return eight_bit ? MAIL_WIRE_8BIT : MAIL_WIRE_7BIT;
}

int mail_wire_nstring(struct buf *to, const char *s, enum mail_wire_mode mode)
{
    if (s != NULL)
        return mail_wire_string(to, s, strlen(s), mode);
    buf_puts(to, "NIL");
    return MAIL_WIRE_7BIT;
}

static void put_string(struct renderer *r, const char *s)
{
    r->result |= mail_wire_nstring(r->to, s, r->mode);
}

static void put_space_string(struct renderer *r, const char *s)
{
    buf_putc(r->to, ' ');
    put_string(r, s);
}

/* ---- ENVELOPE ---- */

enum envelope_field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };

static const char *const envelope_names[FIELDS] = {"Date", "Subject", "From", "Sender",      "Reply-To",
                                                   "To",   "Cc",      "Bcc",  "In-Reply-To", "Message-ID"};

struct envelope {
    struct buf text[FIELDS]; /* unfolded */
    bool present[FIELDS];
};

static bool is_list(int field)
{
    return field >= FROM && field <= BCC;
}

/* Addresses spread over several fields of a name make one list; of other fields the first counts. */
static void collect_field(struct envelope *e, const struct mail_field *field)
{
    for (int i = 0; i < FIELDS; i++) {
        if (!mail_field_is(field, envelope_names[i]))
            continue;
        if (e->present[i] && !is_list(i))
            return;
        if (e->present[i])
            buf_putc(&e->text[i], ',');
        mail_field_unfold(field, &e->text[i]);
        e->present[i] = true;
        return;
    }
}

static void put_address(struct renderer *r, const struct mail_address *a)
{
    buf_putc(r->to, '(');
    put_string(r, a->name);
    put_space_string(r, a->route);
    put_space_string(r, a->mailbox);
    put_space_string(r, a->kind == MAIL_ADDRESS && a->host == NULL ? NO_HOST : a->host);
    buf_putc(r->to, ')');
}

/* False when there is no address. */
static bool put_addresses(struct renderer *r, const struct buf *text)
{
    size_t max = r->addresses < MAIL_ADDRESSES_MAX ? r->addresses : MAIL_ADDRESSES_MAX;
    struct pool *pool = pool_new(0);
    const struct mail_address *list = mail_addresses_parse(pool, buf_cstr(text), text->len, max);
    bool any = list != NULL;

    if (any)
        buf_putc(r->to, '(');
    for (; list != NULL; list = list->next) {
        put_address(r, list);
        r->addresses--;
    }
    if (any)
        buf_putc(r->to, ')');
    pool_free(&pool);
    return any;
}

static void put_envelope_list(struct renderer *r, const struct envelope *e, int field)
{
    if (put_addresses(r, &e->text[field]))
        return;
    if ((field == SENDER || field == REPLY_TO) && put_addresses(r, &e->text[FROM]))
        return;
    buf_puts(r->to, "NIL");
}

static void put_envelope_text(struct renderer *r, const struct envelope *e, int field)
{
    const struct buf *text = &e->text[field];

    if (e->present[field])
        r->result |= mail_wire_string(r->to, buf_cstr(text), text->len, r->mode);
    else
        buf_puts(r->to, "NIL");
}

static void put_envelope(struct renderer *r, const struct mail_part *part)
{
    struct envelope e = {0};
    struct mail_header_iter it;
    struct mail_field field;

    mail_header_begin(&it, r->data + part->header_start, part->header_size);
    while (mail_header_next(&it, &field))
        collect_field(&e, &field);
    for (int i = 0; i < FIELDS; i++) {
        buf_putc(r->to, i == 0 ? '(' : ' ');
        if (is_list(i))
            put_envelope_list(r, &e, i);
        else
            put_envelope_text(r, &e, i);
    }
    buf_putc(r->to, ')');
    for (int i = 0; i < FIELDS; i++)
        buf_free(&e.text[i]);
}

/* ---- BODY and BODYSTRUCTURE ---- */

static void put_body(struct renderer *r, const struct mail_part *part);

static void put_params(struct renderer *r, const struct mail_param *p)
{
    if (p == NULL) {
        buf_puts(r->to, "NIL");
        return;
    }
    for (char sep = '('; p != NULL; p = p->next, sep = ' ') {
        buf_putc(r->to, sep);
        put_string(r, p->name);
        put_space_string(r, p->value);
    }
    buf_putc(r->to, ')');
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void put_extension(struct renderer *r, const struct mail_content *c)
{
    buf_putc(r->to, ' ');
    if (c->disposition != NULL) {
        buf_putc(r->to, '(');
        put_string(r, c->disposition);
        buf_putc(r->to, ' ');
        put_params(r, c->disposition_params);
        buf_putc(r->to, ')');
    } else {
        buf_puts(r->to, "NIL");
    }
    if (c->languages == NULL || c->languages->next == NULL) {
        put_space_string(r, c->languages != NULL ? c->languages->name : NULL);
    } else {
        buf_puts(r->to, " (");
        for (const struct mail_param *p = c->languages; p != NULL; p = p->next) {
            put_string(r, p->name);
            buf_puts(r->to, p->next != NULL ? " " : ")");
        }
    }
    put_space_string(r, c->location);
}

static void put_multipart(struct renderer *r, const struct mail_part *part)
{
    for (const struct mail_part *p = part->children; p != NULL; p = p->next)
        put_body(r, p);
    put_space_string(r, part->content.subtype);
    if (!r->extended)
        return;
    buf_putc(r->to, ' ');
    put_params(r, part->content.params);
    put_extension(r, &part->content);
}

static void put_single(struct renderer *r, const struct mail_part *part)
{
    const struct mail_content *c = &part->content;

    put_string(r, c->type);
    put_space_string(r, c->subtype);
    buf_putc(r->to, ' ');
    put_params(r, c->params);
    put_space_string(r, c->id);
    put_space_string(r, c->description);
    put_space_string(r, c->encoding);
    buf_printf(r->to, " %" PRIu64, part->body_size);
    if (part->kind == MAIL_MESSAGE) {
        buf_putc(r->to, ' ');
        put_envelope(r, part->children);
        buf_putc(r->to, ' ');
        put_body(r, part->children);
    }
    if (part->kind == MAIL_MESSAGE || mail_content_is(c, "TEXT", NULL))
        buf_printf(r->to, " %" PRIu64, part->body_lines);
    if (!r->extended)
        return;
    put_space_string(r, c->md5);
    put_extension(r, c);
}

/* Recursion ends at MAIL_DEPTH_MAX. */
static void put_body(struct renderer *r, const struct mail_part *part)
{
    buf_putc(r->to, '(');
    if (part->kind == MAIL_MULTIPART)
        put_multipart(r, part);
    else
        put_single(r, part);
    buf_putc(r->to, ')');
}

static struct renderer renderer(struct buf *to, const char *data, enum mail_wire_mode mode)
{
    return (struct renderer){.to = to, .data = data, .mode = mode, .addresses = ADDRESSES_MAX};
}

int mail_wire_envelope(struct buf *to, const char *data, const struct mail_part *part,
                       enum mail_wire_mode mode)
{
    struct renderer r = renderer(to, data, mode);

    put_envelope(&r, part);
    return r.result;
}

int mail_wire_body(struct buf *to, const char *data, const struct mail_part *part, enum mail_wire_mode mode)
{
    struct renderer r = renderer(to, data, mode);

    put_body(&r, part);
    return r.result;
}

int mail_wire_bodystructure(struct buf *to, const char *data, const struct mail_part *part,
                            enum mail_wire_mode mode)
{
    struct renderer r = renderer(to, data, mode);

    r.extended = true;
    put_body(&r, part);
    return r.result;
}
