#include "lib/charset/words.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"

enum { CHARSET_MAX = 64 };

/* =?charset[*language]?encoding?text?= (RFC 2047 2, RFC 2231 5) */
struct word {
    char charset[CHARSET_MAX];
    bool base64;
    const char *text;
    size_t text_len;
    size_t len; /* of the whole */
};

static bool parse_charset(const char *s, size_t n, struct word *w)
{
    const char *star = memchr(s, '*', n);

    if (star != NULL)
        n = (size_t)(star - s);
    if (n == 0 || n >= sizeof(w->charset))
        return false;
    memcpy(w->charset, s, n);
    w->charset[n] = '\0';
    return true;
}

static bool parse_word(const char *s, size_t n, struct word *w)
{
    const char *end = s + n, *encoding, *text, *close;

    if (n < 8 || s[0] != '=' || s[1] != '?')
        return false;
    encoding = memchr(s + 2, '?', n - 2);
    if (encoding == NULL || end - encoding < 5 || encoding[2] != '?' ||
        !parse_charset(s + 2, (size_t)(encoding - s - 2), w))
        return false;
    w->base64 = str_upper_c(encoding[1]) == 'B';
    if (!w->base64 && str_upper_c(encoding[1]) != 'Q')
        return false;
    text = encoding + 3;
    close = memchr(text, '?', (size_t)(end - text));
    if (close == NULL || close + 1 == end || close[1] != '=' ||
        memchr(text, '\n', (size_t)(close - text)) != NULL)
        return false;
    w->text = text;
    w->text_len = (size_t)(close - text);
    w->len = (size_t)(close + 2 - s);
    return true;
}

/* The bytes of a word: base64, or the "Q" encoding (RFC 2047 4.2). */
static void word_bytes(const struct word *w, struct buf *to)
{
    struct decoder d;

    decoder_init(&d, w->base64 ? DECODE_BASE64 : DECODE_QUOTED_PRINTABLE);
    if (w->base64) {
        decoder_feed(&d, w->text, w->text_len, to);
    } else {
        for (size_t i = 0; i < w->text_len; i++)
            decoder_feed(&d, w->text[i] == '_' ? "=20" : w->text + i, w->text[i] == '_' ? 3 : 1, to);
    }
    decoder_finish(&d, to, NULL);
}

/* What words_decode() remembers between two words. */
struct state {
    struct buf *to;
    struct converter *converter; /* of the word before, if nothing but blanks came since */
    char charset[CHARSET_MAX];
};

static void end_words(struct state *state)
{
    if (state->converter != NULL)
        converter_finish(state->converter, state->to);
    converter_free(&state->converter);
}

/* A character may be split over several words of one charset: the converter goes on then. */
static bool put_word(struct state *state, const struct word *w)
{
    struct converter *converter;
    struct buf bytes = BUF_INIT;

    if (state->converter == NULL || !str_ieq(state->charset, w->charset)) {
        if (converter_new(w->charset, &converter) != 0)
            return false;
        end_words(state);
        state->converter = converter;
        memcpy(state->charset, w->charset, sizeof(state->charset));
    }
    word_bytes(w, &bytes);
    converter_feed(state->converter, buf_cstr(&bytes), bytes.len, state->to);
    buf_free(&bytes);
    return true;
}

/* Unfolded: without CR and LF. */
static void put_raw(struct state *state, const char *s, size_t n)
{
    struct buf line = BUF_INIT;

    end_words(state);
    for (size_t i = 0; i < n; i++)
        if (s[i] != '\r' && s[i] != '\n')
            buf_putc(&line, s[i]);
    charset_repair_utf8(buf_cstr(&line), line.len, state->to);
    buf_free(&line);
}

static bool is_blank_run(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t\r\n", s[i]) == NULL || s[i] == '\0')
            return false;
    return true;
}

void words_decode(const char *value, size_t n, struct buf *to)
{
    struct state state = {.to = to};
    size_t raw = 0, i = 0;
    struct word w;

    while (i < n) {
        if (value[i] != '=' || !parse_word(value + i, n - i, &w) || !charset_is_known(w.charset)) {
            i++;
            continue;
        }
        if (state.converter == NULL || !is_blank_run(value + raw, i - raw))
            put_raw(&state, value + raw, i - raw);
        put_word(&state, &w);
        i += w.len;
        raw = i;
    }
    put_raw(&state, value + raw, n - raw);
    end_words(&state);
}

static int percent_decode(const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '%') {
            if (n - i < 3 || str_unhex(&c, s + i + 1, 1) != 0)
                return ERR_SYNTAX;
            i += 2;
        }
        buf_putc(to, (char)c);
    }
    return 0;
}

int words_decode_parameter(const char *value, size_t n, struct buf *to)
{
    const char *language = memchr(value, '\'', n);
    const char *text =
        language != NULL ? memchr(language + 1, '\'', (size_t)(value + n - language - 1)) : NULL;
    struct buf bytes = BUF_INIT, utf8 = BUF_INIT;
    struct word w;
    int r = ERR_SYNTAX;

    if (text == NULL)
        return ERR_SYNTAX;
    text++;
    if (language == value)
        strcpy(w.charset, "utf-8");
    else if (!parse_charset(value, (size_t)(language - value), &w))
        return ERR_SYNTAX;
    if (percent_decode(text, (size_t)(value + n - text), &bytes) == 0 &&
        charset_to_utf8(w.charset, buf_cstr(&bytes), bytes.len, &utf8) != ERR_UNSUPPORTED) {
        buf_append(to, buf_cstr(&utf8), utf8.len);
        r = 0;
    }
    buf_free(&bytes);
    buf_free(&utf8);
    return r;
}
