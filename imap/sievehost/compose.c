#include "imap/sievehost/compose.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/words.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/mail/text.h"

enum {
    WORD_BYTES = 45,         /* of text in an encoded word (RFC 2047 2: 75 in all) */
    SUBJECT_MAX = 500,       /* bytes of a subject that is taken over */
    REFERENCES_MAX = 20,     /* ids taken over */
    ORIGINAL_MAX = 64 * 1024 /* bytes of a header that is sent back */
};

/* ---- fields ---- */

static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || (unsigned char)s[i] >= 127)
            return false;
    return true;
}

/* Encoded words of whole characters, a line each; controls become blanks. */
static void put_words(struct buf *to, const char *s, size_t n)
{
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        buf_putc(&text, (unsigned char)s[i] < ' ' || s[i] == 127 ? ' ' : s[i]);
    for (size_t at = 0, len; at < n; at += len) {
        len = n - at < WORD_BYTES ? n - at : WORD_BYTES;
        while (at + len < n && len > 1 && ((unsigned char)text.data[at + len] & 0xc0) == 0x80)
            len--;
        buf_puts(to, at > 0 ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
        str_base64_encode(to, text.data + at, len);
        buf_puts(to, "?=");
    }
    buf_free(&text);
}

static void put_text_field(struct buf *to, const char *name, const char *text)
{
    size_t n = strlen(text);

    buf_printf(to, "%s: ", name);
    if (is_plain(text, n) && n < 900)
        buf_append(to, text, n);
    else
        put_words(to, text, n);
    buf_puts(to, "\r\n");
}

/* An address of a script, whose display name may be UTF-8. */
static void put_address_field(const struct compose *c, struct buf *to, const char *name, const char *text)
{
    const struct mail_address *a = mail_addresses_parse(c->pool, text, strlen(text), 1);

    buf_printf(to, "%s: ", name);
    if (a == NULL || a->name == NULL || *a->name == '\0') {
        buf_printf(to, "<");
        if (a != NULL)
            mail_address_spec(a, to);
        buf_puts(to, ">\r\n");
        return;
    }
    if (is_plain(a->name, strlen(a->name)) && strlen(a->name) < 900 && strpbrk(a->name, "\"\\") == NULL)
        buf_printf(to, "\"%s\"", a->name);
    else
        put_words(to, a->name, strlen(a->name));
    buf_puts(to, " <");
    mail_address_spec(a, to);
    buf_puts(to, ">\r\n");
}

static void put_new_fields(const struct compose *c, struct buf *to)
{
    char date[MAIL_DATE_SIZE];

    mail_date_format(date, c->now, mail_date_local_zone(c->now));
    buf_printf(to, "Date: %s\r\nMessage-ID: <%s@%s>\r\n", date, c->id, c->host);
}

/* RFC 5322 3.6.4 */
static void put_references(const struct compose *c, struct buf *to)
{
    struct mail_field field;
    char **ids = NULL;
    const char *id = NULL;
    size_t count = 0, from;

    if (mail_header_find(c->header, c->header_len, "Message-ID", &field))
        id = mail_message_id(c->pool, field.value, field.value_len);
    if (id == NULL || strlen(id) > 900 || !is_plain(id, strlen(id)))
        return;
    buf_printf(to, "In-Reply-To: %s\r\nReferences:", id);
    if (mail_header_find(c->header, c->header_len, "References", &field) ||
        mail_header_find(c->header, c->header_len, "In-Reply-To", &field))
        ids = mail_message_ids(c->pool, field.value, field.value_len);
    while (ids != NULL && ids[count] != NULL)
        count++;
    from = count > REFERENCES_MAX ? count - REFERENCES_MAX : 0;
    for (size_t i = from; i < count; i++)
        if (strlen(ids[i]) <= 900 && is_plain(ids[i], strlen(ids[i])))
            buf_printf(to, " %s\r\n", ids[i]);
    buf_printf(to, " %s\r\n", id);
}

/* The subject of the message at hand, decoded; NULL: it has none. */
static const char *subject_of(const struct compose *c)
{
    struct mail_field field;
    struct buf text = BUF_INIT;
    const char *subject;
    size_t n;

    if (!mail_header_find(c->header, c->header_len, "Subject", &field))
        return NULL;
    words_decode(field.value, field.value_len, &text);
    n = text.len < SUBJECT_MAX ? text.len : SUBJECT_MAX;
    while (n > 0 && n < text.len && ((unsigned char)text.data[n] & 0xc0) == 0x80)
        n--;
    buf_truncate(&text, n);
    subject = buf_cstr(&text);
    subject += strspn(subject, " \t");
    subject = pool_strdup(c->pool, subject);
    buf_free(&text);
    return *subject != '\0' ? subject : NULL;
}

/* ---- bodies ---- */

/* A script's text: its lines may end as they like. */
static void put_lines(struct buf *to, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\0' || (s[i] == '\r' && i + 1 < n && s[i + 1] == '\n'))
            continue;
        if (s[i] == '\n' || s[i] == '\r')
            buf_puts(to, "\r\n");
        else
            buf_putc(to, s[i]);
    }
    if (n > 0 && s[n - 1] != '\n')
        buf_puts(to, "\r\n");
}

/* Base64 in lines of 76 (RFC 2045 6.8): any text passes any MTA. */
static void put_base64_lines(struct buf *to, const char *s, size_t n)
{
    for (size_t at = 0, len; at < n; at += len) {
        len = n - at < 57 ? n - at : 57;
        str_base64_encode(to, s + at, len);
        buf_puts(to, "\r\n");
    }
}

static bool has_long_line(const struct buf *text)
{
    size_t line = 0;

    for (size_t i = 0; i < text->len; i++) {
        line = text->data[i] == '\n' ? 0 : line + 1;
        if (line > 990)
            return true;
    }
    return false;
}

/* The MIME fields of a text and the text, behind an empty line. */
static void put_text_part(struct buf *to, const char *s, size_t n)
{
    struct buf text = BUF_INIT;
    bool plain;

    put_lines(&text, s, n);
    plain = str_is_ascii(buf_cstr(&text), text.len) && !has_long_line(&text);
    buf_printf(to, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
               plain ? "us-ascii" : "utf-8", plain ? "7bit" : "base64");
    if (plain)
        buf_append(to, text.data, text.len);
    else
        put_base64_lines(to, text.data, text.len);
    buf_free(&text);
}

/* ---- vacation ---- */

void compose_vacation(const struct compose *c, const struct sieve_action *action, struct buf *to)
{
    const char *subject = action->subject, *original;

    if (subject == NULL) {
        original = subject_of(c);
        subject = original != NULL ? pool_printf(c->pool, "Auto: %s", original) : "Automated reply";
    }
    put_address_field(c, to, "From", action->from != NULL ? action->from : c->owner);
    put_address_field(c, to, "To", action->address);
    put_text_field(to, "Subject", subject);
    put_new_fields(c, to);
    put_references(c, to);
    buf_puts(to, "Auto-Submitted: auto-replied (vacation)\r\nMIME-Version: 1.0\r\n");
    if (action->mime) /* the reason is an entity: its own fields, an empty line, a body */
        put_lines(to, action->reason.data, action->reason.len);
    else
        put_text_part(to, action->reason.data, action->reason.len);
}

/* ---- refusal ---- */

static void put_disposition(const struct compose *c, struct buf *to)
{
    char *id = mail_header_get(c->pool, c->header, c->header_len, "Message-ID");

    buf_printf(to,
               "Content-Type: message/disposition-notification\r\n\r\n"
               "Reporting-UA: %s; iatlas\r\nFinal-Recipient: rfc822; %s\r\n",
               c->host, c->owner);
    if (id != NULL && is_plain(id, strlen(id)) && strlen(id) < 900)
        buf_printf(to, "Original-Message-ID: %s\r\n", id);
    buf_puts(to, "Disposition: automatic-action/MDN-sent-automatically; deleted\r\n");
}

void compose_refusal(const struct compose *c, const char *postmaster, const char *sender,
                     const struct sieve_string *reason, struct buf *to)
{
    static const char lead[] =
        "The message was refused by the recipient's mail filter.  The reason given was:\r\n\r\n";
    size_t header_len = c->header_len < ORIGINAL_MAX ? c->header_len : ORIGINAL_MAX;
    struct buf text = BUF_INIT;

    put_address_field(c, to, "From", postmaster);
    put_address_field(c, to, "To", sender);
    put_text_field(to, "Subject", "Automatically rejected mail");
    put_new_fields(c, to);
    put_references(c, to);
    buf_printf(
        to,
        "Auto-Submitted: auto-replied (rejected)\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"=_%s\"\r\n\r\n"
        "--=_%s\r\n",
        c->id, c->id);
    buf_puts(&text, lead);
    buf_append(&text, reason->data, reason->len);
    put_text_part(to, text.data, text.len);
    buf_free(&text);
    buf_printf(to, "\r\n--=_%s\r\n", c->id);
    put_disposition(c, to);
    buf_printf(to, "\r\n--=_%s\r\nContent-Type: text/rfc822-headers\r\n\r\n", c->id);
    buf_append(to, c->header, header_len);
    buf_printf(to, "\r\n--=_%s--\r\n", c->id);
}

/* ---- notification ---- */

/* Percent-decoded, in the pool; controls are left out: no header may be slipped in. */
static char *decode(struct pool *pool, const char *s, size_t n, bool lines)
{
    char *to = pool_alloc(pool, n + 1), *p = to;

    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        if (c == '%' && n - i > 2 && str_unhex(&c, s + i + 1, 1) == 0)
            i += 2;
        if (((unsigned char)c >= ' ' && c != 127) || (lines && (c == '\n' || c == '\r')))
            *p++ = c;
    }
    return to;
}

static void add_recipients(struct pool *pool, struct mailto *m, const char *list)
{
    const struct mail_address *a = mail_addresses_parse(pool, list, strlen(list), MAILTO_MAX);

    for (; a != NULL && m->count < MAILTO_MAX; a = a->next) {
        struct buf spec = BUF_INIT;

        if (a->kind != MAIL_ADDRESS || a->host == NULL || *a->host == '\0')
            continue;
        mail_address_spec(a, &spec);
        m->to[m->count++] = pool_strdup(pool, buf_cstr(&spec));
        buf_free(&spec);
    }
}

static void take_header(struct pool *pool, struct mailto *m, const char *s, size_t n)
{
    const char *equals = memchr(s, '=', n);
    const char *name = decode(pool, s, equals != NULL ? (size_t)(equals - s) : n, false), *value;

    if (equals == NULL)
        return;
    value = decode(pool, equals + 1, (size_t)(s + n - equals - 1), str_ieq(name, "body"));
    if (str_ieq(name, "to") || str_ieq(name, "cc"))
        add_recipients(pool, m, value);
    else if (str_ieq(name, "subject"))
        m->subject = value;
    else if (str_ieq(name, "body"))
        m->body = value;
}

void mailto_parse(struct pool *pool, const char *uri, struct mailto *m)
{
    const char *path = strchr(uri, ':') != NULL ? strchr(uri, ':') + 1 : uri;
    size_t n = strcspn(path, "?#");

    memset(m, 0, sizeof(*m));
    m->to = pool_alloc(pool, (MAILTO_MAX + 1) * sizeof(*m->to));
    add_recipients(pool, m, decode(pool, path, n, false));
    if (path[n] != '?')
        return;
    for (path += n + 1; *path != '\0' && *path != '#'; path += *path == '&') {
        n = strcspn(path, "&#");
        take_header(pool, m, path, n);
        path += n;
    }
}

static void put_recipients(struct buf *to, const struct mailto *m)
{
    buf_puts(to, "To:");
    for (size_t i = 0; i < m->count; i++)
        buf_printf(to, "%s <%s>", i > 0 ? ",\r\n" : "", m->to[i]);
    buf_puts(to, "\r\n");
}

/* RFC 3834 5 has a quoted string there. */
static void put_owner(struct buf *to, const char *owner)
{
    buf_puts(to, "Auto-Submitted: auto-notified; owner-email=\"");
    for (const char *p = owner; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            buf_putc(to, '\\');
        if ((unsigned char)*p >= ' ' && (unsigned char)*p < 127)
            buf_putc(to, *p);
    }
    buf_puts(to, "\"\r\n");
}

void compose_notification(const struct compose *c, const struct sieve_action *action, const struct mailto *m,
                          struct buf *to)
{
    static const char *const priorities[] = {"1 (High)", "3 (Normal)", "5 (Low)"};
    const char *subject = action->reason.len > 0 ? action->reason.data : m->subject, *body = m->body;
    char *from = mail_header_get(c->pool, c->header, c->header_len, "From");

    if (subject == NULL)
        subject = subject_of(c);
    put_owner(to, c->owner);
    put_address_field(c, to, "From", action->from != NULL ? action->from : c->owner);
    put_recipients(to, m);
    put_text_field(to, "Subject", subject != NULL ? subject : "New mail");
    put_new_fields(c, to);
    put_references(c, to);
    buf_printf(to, "X-Priority: %s\r\nMIME-Version: 1.0\r\n", priorities[action->importance - '1']);
    if (body == NULL)
        body = pool_printf(c->pool, "Mail has come for %s from %s\r\n", c->owner,
                           from != NULL && str_is_utf8(from, strlen(from)) ? from : "somebody");
    put_text_part(to, body, strlen(body));
}

/* ---- redirect ---- */

size_t compose_skip_return_path(const char *header, size_t n)
{
    struct mail_header_iter it;
    struct mail_field field;
    size_t at = 0;

    mail_header_begin(&it, header, n);
    while (mail_header_next(&it, &field) && mail_field_is(&field, "Return-Path"))
        at = (size_t)(field.raw - header) + field.raw_len;
    return at;
}
