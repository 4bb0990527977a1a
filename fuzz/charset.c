/* Decoding, conversion and search: the same in one piece as byte by byte. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"
#include "lib/charset/fold.h"
#include "lib/charset/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_equal(const struct buf *a, const struct buf *b)
{
    BUG_ON(a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0));
}

static void try_decoder(enum decode_encoding encoding, const char *text, size_t n)
{
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    struct decoder d;

    decoder_init(&d, encoding);
    decoder_feed(&d, text, n, &whole);
    decoder_finish(&d, &whole, NULL);
    for (size_t i = 0; i < n; i++)
        decoder_feed(&d, text + i, 1, &pieces);
    decoder_finish(&d, &pieces, NULL);
    check_equal(&whole, &pieces);
    buf_free(&whole);
    buf_free(&pieces);
}

static void try_converter(const char *charset, const char *text, size_t n)
{
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    struct converter *c;

    if (converter_new(charset, &c) != 0)
        return;
    converter_feed(c, text, n, &whole);
    converter_finish(c, &whole);
    for (size_t i = 0; i < n; i++)
        converter_feed(c, text + i, 1, &pieces);
    converter_finish(c, &pieces);
    check_equal(&whole, &pieces);
    BUG_ON(!str_is_utf8(buf_cstr(&whole), whole.len));
    converter_free(&c);
    buf_free(&whole);
    buf_free(&pieces);
}

static void try_search(const char *text, size_t n)
{
    struct searcher *s = searcher_new(FOLD_UNICODE, text + n / 2, n - n / 2);
    bool found = searcher_find(s, text, n), by_bytes = searcher_feed(s, "", 0);

    for (size_t i = 0; i < n; i++)
        by_bytes = searcher_feed(s, text + i, 1);
    BUG_ON(found != by_bytes);
    searcher_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const charsets[] = {"us-ascii",    "utf-8",  "iso-8859-1", "shift_jis",
                                           "iso-2022-jp", "utf-16", "gb18030",    "utf-7"};
    const char *text = (const char *)data + 1;
    struct buf words = BUF_INIT;

    if (size < 1)
        return 0;
    size--;
    try_decoder((enum decode_encoding)(data[0] % 3), text, size);
    try_decoder(DECODE_UUENCODE, text, size);
    try_converter(charsets[data[0] / 4 % ARRAY_SIZE(charsets)], text, size);
    try_search(text, size);
    words_decode(text, size, &words);
    BUG_ON(!str_is_utf8(buf_cstr(&words), words.len));
    buf_reset(&words);
    words_decode_parameter(text, size, &words);
    buf_free(&words);
    return 0;
}
