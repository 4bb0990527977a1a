#include "imap/local/preview.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

/* From a copy that ends where the text does: a read beyond it is seen by the sanitizer. */
static void make(const char *text, size_t n, bool html, struct buf *to)
{
    char *copy = xmalloc(n > 0 ? n : 1);

    memcpy(copy, text, n);
    preview_text(copy, n, html, to);
    free(copy);
}

static void check(const char *text, bool html, const char *wanted)
{
    struct buf got = BUF_INIT;

    make(text, strlen(text), html, &got);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&got), wanted);
    buf_free(&got);
}

static void test_plain(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {" \r\n\t \r\n", ""},
        {"one\r\ntwo", "one two"},
        {"  one \t two  \r\n\r\n three\n", "one two three"},
        {"> quoted\r\nmine\r\n>> more\r\n>\r\nend > of it", "mine end > of it"},
        {"> nothing else", ""},
        {"<b>&amp;</b>", "<b>&amp;</b>"}, /* no HTML */
        {"a\x01\x1b[0m\x7f z", "a [0m z"},
        {"a\xc2\x85\xc2\xa0\xe2\x80\xae\xef\xbb\xbf z", "a z"}, /* NEL, NBSP, RLO, BOM */
        {"\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check(rows[i].in, false, rows[i].out);
}

#define REPLACED "\xef\xbf\xbd"

static void test_bad_utf8(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a\xffz", "a" REPLACED "z"},
        {"a\xe2\x82", "a" REPLACED REPLACED},         /* cut off */
        {"\xc0\xaf", REPLACED REPLACED},              /* overlong */
        {"\xed\xa0\x80", REPLACED REPLACED REPLACED}, /* a surrogate */
        {"\xf4\x90\x80\x80", REPLACED REPLACED REPLACED REPLACED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        check(rows[i].in, false, rows[i].out);
        check(rows[i].in, true, rows[i].out);
    }
}

static void test_entities(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a&amp;b&lt;c&gt;d&quot;e&apos;", "a&b<c>d\"e'"},
        {"a&nbsp;&nbsp;b", "a b"},
        {"&#65;&#x42;&#X43;&#x20ac;", "ABC\xe2\x82\xac"},
        {"&auml;&Auml;", "\xc3\xa4\xc3\x84"},
        {"&AMP; &none; &; &", "&AMP; &none; &; &"},
        {"AT&T; R&D &amp", "AT&T; R&D &amp"},
        {"&#; &#x; &#x4z; &#6a; &#-5; &# 65; &#+65;", "&#; &#x; &#x4z; &#6a; &#-5; &# 65; &#+65;"},
        {"a&#0;&#10;&#x1f;b", "a b"},
        {"&#xd800;&#xdfff;&#x110000;&#999999999;", REPLACED REPLACED REPLACED REPLACED},
        {"&#99999999999999999999;", "&#99999999999999999999;"}, /* too long for one */
        {"&amp;lt;", "&lt;"},                                   /* read once */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check(rows[i].in, true, rows[i].out);
}

static void test_tags(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"<p>one</p><p>two</p>", "one two"},
        {"o<b>n</b>e <I>t<span class=\"x\">w</span>o</I>", "one two"},
        {"one<br>two<br/>three<BR />four", "one two three four"},
        {"<head><title>t</title><meta x></head>body", "body"},
        {"<style>p > b {}</style>a<SCRIPT src='x'>if (a < b) \"</p>\"</Script >b", "a b"},
        {"<header>shown</header>", "shown"},
        {"a<!-- b > <p>c</p> -->d", "a d"},
        {"a<!-- b", "a"},
        {"a<script>b</scrip", "a"},
        {"a<script", "a"},
        {"a<", "a"},
        {"a<b", "a"},
        {"a</", "a"},
        {"a<title>b</title", "a"},
        {"<", ""},
        {"> not quoted", "> not quoted"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check(rows[i].in, true, rows[i].out);
}

static size_t count_chars(const struct buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += ((unsigned char)b->data[i] & 0xc0) != 0x80;
    return n;
}

/* Characters count, not bytes; a blank is never the last one. */
static void test_length(void)
{
    static const struct {
        const char *repeat;
        bool html;
        size_t chars;
    } rows[] = {{"x", false, PREVIEW_CHARS},
                {"x", true, PREVIEW_CHARS},
                {"\xe2\x82\xac", false, PREVIEW_CHARS},
                {"\xf0\x9f\x98\x80", true, PREVIEW_CHARS},
                {"&euro;", true, PREVIEW_CHARS},
                {"\xff", false, PREVIEW_CHARS},
                {"x ", false, PREVIEW_CHARS - 1},
                {"x<br>", true, PREVIEW_CHARS - 1},
                {"xy\r\n", false, PREVIEW_CHARS}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf text = BUF_INIT, got = BUF_INIT;

        for (int k = 0; k < 1000; k++)
            buf_puts(&text, rows[i].repeat);
        make(text.data, text.len, rows[i].html, &got);
        CU_ASSERT_EQUAL(count_chars(&got), rows[i].chars);
        CU_ASSERT_NOT_EQUAL(got.data[got.len - 1], ' ');
        buf_free(&text);
        buf_free(&got);
    }
}

/* Cut off anywhere, and with bytes of any value in it: no read beyond the end, never too long. */
static void test_cut(void)
{
    static const char text[] = "<html><head><title>x</title></head><!-- c --><p>a&amp;&#x20ac;<b>b</b>"
                               "<script>1 < 2</script>\xe2\x82\xac</p>&nbsp;end";
    char changed[sizeof(text)];

    for (size_t n = 0; n < sizeof(text); n++) {
        for (unsigned byte = 0; byte < 256; byte += 5) {
            struct buf got = BUF_INIT;

            memcpy(changed, text, sizeof(text));
            changed[n / 2] = (char)byte;
            make(changed, n, true, &got);
            make(changed, n, false, &got);
            CU_ASSERT(count_chars(&got) <= 2 * n);
            buf_free(&got);
        }
    }
}

/* As much as is ever read, of what is dear to look through. */
static void test_large(void)
{
    static const char *const repeat[] = {"<", "<!--",  "<script>", "</",  "&#1",
                                         "&", "<a <b", " ",        ">\n", "<style></"};

    for (size_t i = 0; i < ARRAY_SIZE(repeat); i++) {
        struct buf text = BUF_INIT, got = BUF_INIT;

        while (text.len < PREVIEW_READ)
            buf_puts(&text, repeat[i]);
        make(text.data, text.len, true, &got);
        make(text.data, text.len, false, &got);
        CU_ASSERT(count_chars(&got) <= 2 * PREVIEW_CHARS);
        buf_free(&text);
        buf_free(&got);
    }
}

static void test_part(void)
{
    static const struct {
        const char *in;
        struct preview_kind kind;
        const char *out;
    } rows[] = {
        {"abc", {DECODE_IDENTITY, "", false, true}, "abc"},
        {"\xe2\x82\xac\xff", {DECODE_IDENTITY, "", false, true}, "\xe2\x82\xac" REPLACED},
        {"\xe2\x82", {DECODE_IDENTITY, "us-ascii", false, true}, REPLACED REPLACED},
        {"Gr\xfc\xdf", {DECODE_IDENTITY, "iso-8859-1", false, true}, "Gr\xc3\xbc\xc3\x9f"},
        {"\xcf\xf0", {DECODE_IDENTITY, "KOI8-R", false, true}, "\xd0\xbe\xd0\x9f"},
        {"\x1b$B$\"\x1b(B", {DECODE_IDENTITY, "iso-2022-jp", false, true}, "\xe3\x81\x82"},
        {"\xe2\x82\xac", {DECODE_IDENTITY, "UTF-8", false, true}, "\xe2\x82\xac"},
        {"a\xe2\x82", {DECODE_IDENTITY, "UTF-8", false, true}, "a" REPLACED},
        {"a\xe2\x82", {DECODE_IDENTITY, "UTF-8", false, false}, "a"}, /* the rest was not read */
        {"a\xff\xe2\x82\xac", {DECODE_IDENTITY, "x-none", false, true}, "a" REPLACED "\xe2\x82\xac"},
        {"R3LDvMOf", {DECODE_BASE64, "utf-8", false, true}, "Gr\xc3\xbc\xc3\x9f"},
        {"R3L!?DvMOf", {DECODE_BASE64, "utf-8", false, true}, "Gr\xc3\xbc\xc3\x9f"},
        {"R3LDvMO", {DECODE_BASE64, "utf-8", false, false}, "Gr"},
        {"<b>a</b>=26amp;=\r\n=3D", {DECODE_QUOTED_PRINTABLE, "", true, true}, "a&="},
        {"", {DECODE_BASE64, "utf-8", true, true}, ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf got = BUF_INIT;

        preview_part(rows[i].in, strlen(rows[i].in), &rows[i].kind, &got);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&got), rows[i].out);
        buf_free(&got);
    }
}

static const struct unit_case cases[] = {
    {"plain", test_plain}, {"bad utf-8", test_bad_utf8}, {"entities", test_entities},
    {"tags", test_tags},   {"length", test_length},      {"cut", test_cut},
    {"large", test_large}, {"part", test_part},          {NULL, NULL}};

extern const struct unit_suite preview_suite;
const struct unit_suite preview_suite = {"preview", cases};
