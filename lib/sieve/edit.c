/* edit.c: addheader and deleteheader (RFC 5293). */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/header-private.h"
#include "lib/sieve/match-private.h"

enum { LINE_MAX_LEN = 998, WORD_BYTES = 45 }; /* RFC 5322 2.1.1; of an encoded word (RFC 2047 2: 75 in all) */

/* RFC 5293 6: fields whose loss would break mail. */
static bool is_protected(const char *name)
{
    return str_ieq(name, "Received") || str_ieq(name, "Auto-Submitted") || str_ieq(name, "Return-Path");
}

static int begin_edit(struct sieve_run *run, const struct sieve_node *node)
{
    if (++run->n_edits > SIEVE_EDITS_MAX)
        return run_error(run, node, ERR_LIMIT, "more than %d changes to the header", SIEVE_EDITS_MAX);
    return 0;
}

static void set_header(struct sieve_run *run, struct buf *header)
{
    struct sieve_string kept = run_keep(run, header->data, header->len);

    run->header = kept.data;
    run->header_len = kept.len;
    run->edited = true;
    buf_free(header);
}

/* ---- addheader ---- */

static bool is_plain(const struct sieve_string *s)
{
    for (size_t i = 0; i < s->len; i++)
        if ((unsigned char)s->data[i] >= 127)
            return false;
    return true;
}

/* Encoded words of whole characters, a line each (RFC 2047 2). */
static void put_encoded(struct buf *to, const struct sieve_string *s)
{
    for (size_t at = 0, n; at < s->len; at += n) {
        n = s->len - at < WORD_BYTES ? s->len - at : WORD_BYTES;
        while (at + n < s->len && n > 1 && ((unsigned char)s->data[at + n] & 0xc0) == 0x80)
            n--;
        buf_puts(to, at > 0 ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
        str_base64_encode(to, s->data + at, n);
        buf_puts(to, "?=");
    }
}

/* A field's value may not end its line. */
static bool is_value(const struct sieve_string *s)
{
    for (size_t i = 0; i < s->len; i++)
        if (((unsigned char)s->data[i] < ' ' && s->data[i] != '\t') || s->data[i] == 127)
            return false;
    return true;
}

static int run_addheader(struct sieve_run *run, const struct sieve_node *node)
{
    const char *name = run_text(run, node->params[0]);
    struct sieve_string value = run_string(run, &node->params[1]->strings.items[0]),
                        given = {name, strlen(name)};
    struct buf field = BUF_INIT, header = BUF_INIT;
    struct mail_header_iter it;
    struct mail_field last;
    size_t end = 0;
    int r = begin_edit(run, node);

    if (r < 0)
        return r;
    if (check_header_name(&given) != NULL || !is_plain(&given) || strlen(name) > 200)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" is no name of a header field", name);
    if (!is_value(&value))
        return run_error(run, node, ERR_SYNTAX, "the value of a header field holds control characters");
    buf_printf(&field, "%s: ", name);
    if (is_plain(&value) && field.len + value.len <= LINE_MAX_LEN)
        buf_append(&field, value.data, value.len);
    else
        put_encoded(&field, &value);
    buf_puts(&field, "\r\n");
    if (node->slots[SLOT_LAST] == NULL)
        buf_append(&header, field.data, field.len);
    mail_header_begin(&it, run->header, run->header_len);
    while (mail_header_next(&it, &last))
        end = (size_t)(last.raw + last.raw_len - run->header);
    buf_append(&header, run->header, end);
    if (node->slots[SLOT_LAST] != NULL) {
        if (end > 0 && run->header[end - 1] != '\n') /* a message that ends within its header */
            buf_puts(&header, "\r\n");
        buf_append(&header, field.data, field.len);
    }
    buf_append(&header, run->header + end, run->header_len - end);
    buf_free(&field);
    set_header(run, &header);
    return 0;
}

static const struct tag tags_add[] = {{"last", SLOT_LAST, EXT_NONE, TAG_ALONE, 0}, {NULL, 0, 0, 0, 0}};

/* ---- deleteheader ---- */

static void check_delete(struct checker *c, struct sieve_node *node)
{
    if (node->slots[SLOT_LAST] != NULL && node->slots[SLOT_INDEX] == NULL)
        check_complain(c, node, ":last needs :index");
    check_match(c, node, node->params[1]);
}

/* Is this one of the fields to go?  1, 0 or an error. */
static int is_doomed(struct sieve_run *run, const struct sieve_node *node, const struct mail_field *field)
{
    struct sieve_string value;
    struct match m;
    int r;

    if (node->params[1] == NULL)
        return 1;
    value = header_value(run, field);
    match_begin(&m, run, node, node->params[1]);
    r = match_value(&m, &value, NULL);
    return r != 0 ? r : match_end(&m);
}

static int run_deleteheader(struct sieve_run *run, const struct sieve_node *node)
{
    const char *name = run_text(run, node->params[0]);
    struct sieve_string given = {name, strlen(name)};
    struct sieve_strings names = {&given, 1};
    struct field_list fields = {NULL, 0};
    struct buf header = BUF_INIT;
    size_t done = 0;
    int r = begin_edit(run, node);

    if (r == 0)
        r = header_fields(run, node, &names, &fields);
    if (r == 0 && check_header_name(&given) != NULL)
        r = run_error(run, node, ERR_SYNTAX, "\"%s\" is no name of a header field", name);
    if (r < 0 || is_protected(name))
        return r;
    for (size_t i = 0; i < fields.count && r >= 0; i++) {
        const struct mail_field *field = &fields.items[i];

        r = is_doomed(run, node, field);
        if (r != 1)
            continue;
        buf_append(&header, run->header + done, (size_t)(field->raw - run->header) - done);
        done = (size_t)(field->raw - run->header) + field->raw_len;
    }
    if (r >= 0 && done > 0) {
        buf_append(&header, run->header + done, run->header_len - done);
        set_header(run, &header);
    }
    buf_free(&header);
    return r < 0 ? r : 0;
}

static const struct tag tags_delete[] = {{"index", SLOT_INDEX, EXT_NONE, TAG_NUMBER, 0},
                                         {"last", SLOT_LAST, EXT_NONE, TAG_ALONE, 0},
                                         {NULL, 0, 0, 0, 0}};

const struct definition commands_edit[] = {
    {.name = "addheader",
     .extension = EXT_EDITHEADER,
     .n_params = 2,
     .params = {{PARAM_STRING, false, check_header_name}, {PARAM_STRING, false, NULL}},
     .tags = {tags_add},
     .run = run_addheader},
    {.name = "deleteheader",
     .extension = EXT_EDITHEADER,
     .n_params = 2,
     .params = {{PARAM_STRING, false, check_header_name}, {PARAM_STRINGS, false, NULL}},
     .last_optional = true,
     .tags = {tags_match, tags_delete},
     .check = check_delete,
     .run = run_deleteheader},
    {.name = NULL},
};
