#include "lib/mail/message.h"

#include <string.h>

#include "cunit/lib/mail/consistent.h"
#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

/* type/subtype, body between bars, lines; children in parentheses. */
static void show(struct buf *to, const char *data, const struct mail_part *p)
{
    buf_printf(to, "%s/%s|", p->content.type, p->content.subtype);
    if (p->kind == MAIL_LEAF)
        buf_append(to, data + p->header_start + p->header_size, p->body_size);
    else
        buf_printf(to, "%u", (unsigned)p->body_size);
    buf_printf(to, "|%u", (unsigned)p->body_lines);
    for (const struct mail_part *k = p->children; k != NULL; k = k->next) {
        buf_puts(to, k == p->children ? "(" : " ");
        show(to, data, k);
        buf_puts(to, k->next == NULL ? ")" : "");
    }
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void test_parse(void)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"", "TEXT/PLAIN||0"},
        {"Subject: x", "TEXT/PLAIN||0"},
        {"Subject: x\r\n\r\nhello\r\n", "TEXT/PLAIN|hello\r\n|1"},
        {"\r\nhello", "TEXT/PLAIN|hello|0"},
        {"Subject: x\n\nhello\nyou\n", "TEXT/PLAIN|hello\nyou\n|2"},
        {MIXED "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\n",
         "MULTIPART/MIXED|33|8(TEXT/PLAIN|one|0 TEXT/PLAIN|two\r\n|1)"},
        {MIXED "preamble\r\n--b\r\n\r\none\r\n--b--\r\nepilogue\r\n--b\r\nno part\r\n",
         "MULTIPART/MIXED|53|8(TEXT/PLAIN|one|0)"},
        /* not closed; the boundary at once; no line end before it; LF only */
        {MIXED "--b\r\n\r\none", "MULTIPART/MIXED|10|2(TEXT/PLAIN|one|0)"},
        {MIXED "--b\r\n\r\n--b--", "MULTIPART/MIXED|12|2(TEXT/PLAIN||0)"},
        {MIXED "--b\r\n--b--", "MULTIPART/MIXED|10|1(TEXT/PLAIN||0)"},
        {MIXED "--b\n\none\n--b--\n", "MULTIPART/MIXED|15|4(TEXT/PLAIN|one|0)"},
        {MIXED "--b\r\nSubject: no empty line\r\n--b--", "MULTIPART/MIXED|34|2(TEXT/PLAIN||0)"},
        {MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--b--",
         "MULTIPART/MIXED|54|4(MESSAGE/RFC822|12|1(TEXT/PLAIN||0))"},
        /* padding is allowed, other text behind the boundary is not */
        {MIXED "--b \t\r\n\r\none\r\n--bc\r\n --b\r\n--b-- \r\n",
         "MULTIPART/MIXED|34|6(TEXT/PLAIN|one\r\n--bc\r\n --b|2)"},
        /* no part, no boundary */
        {MIXED "nothing here\r\n", "MULTIPART/MIXED|14|1(TEXT/PLAIN||0)"},
        {MIXED "--b--\r\n", "MULTIPART/MIXED|7|1(TEXT/PLAIN||0)"},
        {"Content-Type: multipart/mixed\r\n\r\n--b\r\n", "TEXT/PLAIN|--b\r\n|1"},
        {"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n", "TEXT/PLAIN|--\r\n|1"},
        {"Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\nx",
         "MULTIPART/MIXED|8|2(TEXT/PLAIN|x|0)"},
        /* an outer delimiter ends the inner parts; the inner boundary may begin like the outer */
        {MIXED
         "--b\r\nContent-Type: multipart/alternative; boundary=b1\r\n\r\n--b1\r\n\r\ninner\r\n--b\r\n\r\n"
         "outer\r\n--b1\r\n--b--\r\n",
         "MULTIPART/MIXED|99|11(MULTIPART/ALTERNATIVE|13|2(TEXT/PLAIN|inner|0) TEXT/PLAIN|outer\r\n--b1|1)"},
        {MIXED
         "--b\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\nin\r\n--b--\r\nepi\r\n--b\r\n\r\n2",
         "MULTIPART/MIXED|77|10(MULTIPART/X|21|4(TEXT/PLAIN|in|0) TEXT/PLAIN|2|0)"},
        {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello\r\n",
         "MESSAGE/RFC822|22|3(TEXT/PLAIN|hello\r\n|1)"},
        {"Content-Type: message/rfc822\r\n\r\n", "MESSAGE/RFC822|0|0(TEXT/PLAIN||0)"},
        {"Content-Type: Message/Global\r\n\r\nSubject: in\r\n\r\nhello\r\n",
         "MESSAGE/GLOBAL|22|3(TEXT/PLAIN|hello\r\n|1)"},
        {"Content-Type: message/global-headers\r\n\r\nSubject: in\r\n",
         "MESSAGE/GLOBAL-HEADERS|Subject: in\r\n|1"},
        {"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\nhi\r\n--b\r\n"
         "Content-Type: text/x\r\n\r\nhi\r\n--b--",
         "MULTIPART/DIGEST|64|9(MESSAGE/RFC822|17|2(TEXT/PLAIN|hi|0) TEXT/X|hi|0)"},
        {MIXED
         "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n"
         "\r\nhi\r\n--b\r\n\r\n2",
         "MULTIPART/MIXED|97|10(MESSAGE/RFC822|50|4(MULTIPART/X|9|2(TEXT/PLAIN|hi|0)) TEXT/PLAIN|2|0)"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        const char *text = rows[i].text;
        const char *wrong = mail_consistent(text, strlen(text));

        buf_reset(&b);
        show(&b, text, mail_parse(pool, text, strlen(text)));
        if (strcmp(buf_cstr(&b), rows[i].shown) != 0 || wrong != NULL)
            printf("\n  row %zu gives %s (%s)\n", i, buf_cstr(&b), wrong != NULL ? wrong : "consistent");
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].shown);
        CU_ASSERT_PTR_NULL(wrong);
        pool_free(&pool);
    }
    buf_free(&b);
}

static unsigned count_parts(const struct mail_part *p, unsigned depth, unsigned *depth_r)
{
    unsigned n = 1;

    *depth_r = depth > *depth_r ? depth : *depth_r;
    for (const struct mail_part *k = p->children; k != NULL; k = k->next)
        n += count_parts(k, depth + 1, depth_r);
    return n;
}

static void expect_bounds(const struct buf *b, unsigned parts_min, unsigned depth_min)
{
    struct pool *pool = pool_new(0);
    unsigned depth = 0, parts = count_parts(mail_parse(pool, b->data, b->len), 0, &depth);

    CU_ASSERT(parts >= parts_min && parts <= MAIL_PARTS_MAX);
    CU_ASSERT(depth >= depth_min && depth < MAIL_DEPTH_MAX);
    CU_ASSERT_PTR_NULL(mail_consistent(b->data, b->len));
    pool_free(&pool);
}

static void test_bounds(void)
{
    struct buf b = BUF_INIT;

    for (int i = 0; i < 10000; i++)
        buf_puts(&b, "Content-Type: message/rfc822\r\n\r\n");
    expect_bounds(&b, MAIL_DEPTH_MAX, MAIL_DEPTH_MAX - 1);
    buf_reset(&b);
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "Content-Type: multipart/x; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    expect_bounds(&b, MAIL_DEPTH_MAX, MAIL_DEPTH_MAX - 1);
    buf_reset(&b);
    buf_puts(&b, MIXED);
    for (int i = 0; i < 10000; i++)
        buf_puts(&b, "--b\r\n\r\n");
    buf_puts(&b, "--b--\r\n");
    expect_bounds(&b, MAIL_PARTS_MAX, 1);
    buf_reset(&b);
    buf_puts(&b, MIXED);
    for (int i = 0; i < 10000; i++)
        buf_puts(&b, "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n");
    expect_bounds(&b, MAIL_PARTS_MAX - 2, 2);
    buf_free(&b);
}

static const struct unit_case cases[] = {{"parse", test_parse}, {"bounds", test_bounds}, {NULL, NULL}};
const struct unit_suite message_suite = {"lib/mail/message", cases};
