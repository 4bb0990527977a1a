/* tests-message.c: the body (RFC 5173), and what filters before us said of the message (RFC 5235). */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"
#include "lib/mail/header.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/match-private.h"

/* ---- the parts of a message ---- */

/* A part's text, made when a test first looks at it. */
struct text {
    const struct mail_part *part;
    struct sieve_string value; /* data NULL: not made yet */
    struct match_cache cache;
};

struct body {
    struct mail_part *root;
    struct text *texts; /* a row a part, in the tree's order */
    size_t count;
    struct text raw;
};

static size_t count_parts(const struct mail_part *part)
{
    size_t count = 0;

    for (; part != NULL; part = part->next)
        count += 1 + count_parts(part->children);
    return count;
}

static void list_parts(struct body *body, const struct mail_part *part)
{
    for (; part != NULL; part = part->next) {
        body->texts[body->count++].part = part;
        list_parts(body, part->children);
    }
}

static struct body *body_of(struct sieve_run *run)
{
    struct body *body = run->body;

    if (body != NULL)
        return body;
    body = pool_alloc(run->pool, sizeof(*body));
    body->root = mail_parse(run->pool, run->message->data, run->message->len);
    body->texts = pool_alloc(run->pool, count_parts(body->root) * sizeof(*body->texts));
    list_parts(body, body->root);
    body->raw.value = run_body(run);
    run->body = body;
    return body;
}

/* Transfer encoding removed, text in UTF-8; bytes of a charset that is unknown stay as they are. */
static void decode_leaf(const struct mail_part *part, const char *data, size_t n, struct buf *to)
{
    const char *charset = mail_param_get(part->content.params, "CHARSET");
    struct buf bytes = BUF_INIT;
    struct decoder decoder;

    decoder_init(&decoder, part->content.decoding);
    decoder_feed(&decoder, data, n, &bytes);
    decoder_finish(&decoder, &bytes, NULL);
    if (mail_content_is(&part->content, "TEXT", NULL) && charset_is_known(charset))
        charset_to_utf8(charset, buf_cstr(&bytes), bytes.len, to);
    else
        buf_append(to, buf_cstr(&bytes), bytes.len);
    buf_free(&bytes);
}

static struct sieve_string text_of(struct sieve_run *run, struct text *text)
{
    const struct mail_part *part = text->part;
    const char *body = run->message->data + part->header_start + part->header_size;
    struct buf to = BUF_INIT;

    if (text->value.data != NULL)
        return text->value;
    if (part->kind == MAIL_LEAF)
        decode_leaf(part, body, part->body_size, &to);
    else if (part->kind == MAIL_MESSAGE && part->children != NULL)
        buf_append(&to, run->message->data + part->children->header_start, part->children->header_size);
    text->value = run_keep(run, to.data, to.len);
    buf_free(&to);
    return text->value;
}

/* A multipart's prologue and epilogue (RFC 5173 5.2): up to the first line of its boundary, and behind the last. */
static int match_around(struct match *m, const struct mail_part *part)
{
    const char *data = m->run->message->data, *body = data + part->header_start + part->header_size;
    const char *boundary = mail_param_get(part->content.params, "BOUNDARY");
    struct sieve_string prologue = {body, part->body_size}, epilogue = {"", 0};
    const struct mail_part *last = part->children;
    const char *line;
    size_t behind;
    int r;

    if (boundary == NULL || last == NULL)
        return match_value(m, &prologue, NULL);
    prologue.len = part->children->header_start - (part->header_start + part->header_size);
    line = prologue.len > 1 ? memrchr(body, '\n', prologue.len - 1) : NULL; /* before the boundary's */
    prologue.len = line != NULL ? (size_t)(line - body) + 1 : 0;
    while (last->next != NULL)
        last = last->next;
    behind = last->header_start + last->header_size + last->body_size;
    epilogue.data = data + behind;
    epilogue.len = (size_t)(body + part->body_size - epilogue.data);
    for (unsigned lines = 0; lines < 2 && epilogue.len > 0;
         lines++) { /* the line end, and the boundary's line */
        const char *end = memchr(epilogue.data, '\n', epilogue.len);
        size_t skip = end != NULL ? (size_t)(end - epilogue.data) + 1 : epilogue.len;

        epilogue.data += skip;
        epilogue.len -= skip;
    }
    r = match_value(m, &prologue, NULL);
    return r != 0 ? r : match_value(m, &epilogue, NULL);
}

static int match_text(struct match *m, struct text *text)
{
    struct sieve_string value;

    if (text->part->kind == MAIL_MULTIPART)
        return match_around(m, text->part);
    if (text->value.data == NULL) {
        int r = run_spend(m->run, m->node, text->part->body_size);

        if (r < 0)
            return r;
    }
    value = text_of(m->run, text);
    return match_value(m, &value, &text->cache);
}

/* ---- body ---- */

enum { BODY_TEXT, BODY_RAW, BODY_CONTENT };

static const struct tag tags_body[] = {{"text", SLOT_BODY, EXT_NONE, TAG_ALONE, BODY_TEXT},
                                       {"raw", SLOT_BODY, EXT_NONE, TAG_ALONE, BODY_RAW},
                                       {"content", SLOT_BODY, EXT_NONE, TAG_STRINGS, BODY_CONTENT},
                                       {NULL, 0, 0, 0, 0}};

/* Is the part of a type that `wanted` names: "" any, "text", or "text/html"? */
static bool is_of_type(const struct mail_part *part, const struct sieve_string *wanted)
{
    const char *slash = memchr(wanted->data, '/', wanted->len);
    size_t type = slash != NULL ? (size_t)(slash - wanted->data) : wanted->len;

    if (wanted->len == 0)
        return true;
    if (strlen(part->content.type) != type || !str_ieq_n(part->content.type, wanted->data, type))
        return false;
    return slash == NULL || str_ieq(part->content.subtype, slash + 1);
}

static bool is_wanted(const struct mail_part *part, const struct sieve_strings *types)
{
    for (size_t i = 0; i < types->count; i++)
        if (is_of_type(part, &types->items[i]))
            return true;
    return false;
}

static bool has_body(const struct sieve_run *run)
{
    size_t header = mail_header_size(run->message->data, run->message->len);

    if (header < run->message->len)
        return true;
    return header >= 2 && run->message->data[header - 1] == '\n' &&
           (run->message->data[header - 2] == '\n' ||
            (header >= 4 && memcmp(run->message->data + header - 4, "\r\n\r\n", 4) == 0));
}

static int run_body_test(struct sieve_run *run, const struct sieve_node *node)
{
    static struct sieve_string text_type = {"text", 4};
    const struct sieve_arg *transform = node->slots[SLOT_BODY];
    struct sieve_strings types = {&text_type, 1};
    struct body *body;
    struct match m;
    int r = 0;

    match_begin(&m, run, node, node->params[0]);
    if (!has_body(run))
        return match_end(&m);
    if (run->body == NULL)
        r = run_spend(run, node, run->message->len);
    if (r < 0)
        return r;
    body = body_of(run);
    if (transform != NULL && transform->value == BODY_RAW) {
        r = match_value(&m, &body->raw.value, &body->raw.cache);
        return r != 0 ? r : match_end(&m);
    }
    if (transform != NULL && transform->value == BODY_CONTENT)
        types = run_strings(run, transform);
    for (size_t i = 0; i < body->count && r == 0; i++)
        if (is_wanted(body->texts[i].part, &types))
            r = match_text(&m, &body->texts[i]);
    return r != 0 ? r : match_end(&m);
}

/* ---- spamtest, virustest ---- */

static const struct tag tags_spam[] = {{"percent", SLOT_PERCENT, EXT_SPAMTESTPLUS, TAG_ALONE, 0},
                                       {NULL, 0, 0, 0, 0}};

static void check_key(struct checker *c, struct sieve_node *node)
{
    check_match(c, node, node->params[node->definition->n_params - 1]);
}

/* What was not tested is "0"; with :count it does not count (RFC 5235 2.2). */
static int match_score(struct sieve_run *run, const struct sieve_node *node, int r, struct buf *score)
{
    struct sieve_string value = {"0", 1};
    struct match m;

    if (r > 0 && score->len > 0)
        value = run_keep(run, score->data, score->len);
    buf_free(score);
    if (r < 0)
        return run_error(run, node, r, "the score cannot be read");
    match_begin(&m, run, node, node->params[0]);
    if (m.type != MATCH_COUNT || strcmp(value.data, "0") != 0)
        r = match_value(&m, &value, NULL);
    else
        r = 0;
    return r != 0 ? r : match_end(&m);
}

static int run_spamtest(struct sieve_run *run, const struct sieve_node *node)
{
    struct buf score = BUF_INIT;
    int r = 0;

    if (run->host->spam != NULL)
        r = run->host->spam(run->host->context, node->slots[SLOT_PERCENT] != NULL, &score);
    return match_score(run, node, r, &score);
}

static int run_virustest(struct sieve_run *run, const struct sieve_node *node)
{
    struct buf score = BUF_INIT;
    int r = run->host->virus != NULL ? run->host->virus(run->host->context, &score) : 0;

    return match_score(run, node, r, &score);
}

const struct definition tests_message[] = {
    {.name = "body",
     .extension = EXT_BODY,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_body},
     .check = check_key,
     .run = run_body_test},
    {.name = "spamtest",
     .extension = EXT_SPAMTEST,
     .or_extension = EXT_SPAMTESTPLUS,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .tags = {tags_match, tags_spam},
     .check = check_key,
     .run = run_spamtest},
    {.name = "virustest",
     .extension = EXT_VIRUSTEST,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .tags = {tags_match},
     .check = check_key,
     .run = run_virustest},
    {.name = NULL},
};
