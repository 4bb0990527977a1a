#include "lib/charset/convert.h"

#include <stdlib.h>
#include <string.h>

#include <unicode/ucnv.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/utf8.h"

enum { NAME_MAX_LEN = 60, UNITS = 1024 };

/* UTF-8 and US-ASCII, which nearly all text is in, need no table. */
enum kind { KIND_ASCII, KIND_UTF8, KIND_ICU };

struct converter {
    enum kind kind;
    bool errors;
    char held[4]; /* UTF-8: an unfinished character */
    size_t held_len;
    UConverter *icu;
    UChar high; /* a high surrogate at the end of a buffer */
};

static enum kind kind_of(const char *name)
{
    if (name == NULL || name[0] == '\0' || str_ieq(name, "us-ascii") || str_ieq(name, "ascii"))
        return KIND_ASCII;
    return str_ieq(name, "utf-8") || str_ieq(name, "utf8") ? KIND_UTF8 : KIND_ICU;
}

/* ICU takes options behind commas in a name: none of them from outside. */
static bool is_plain_name(const char *name)
{
    size_t n = strlen(name);

    return n <= NAME_MAX_LEN && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                             "-_.:+()") == n;
}

static void on_error(const void *context, UConverterToUnicodeArgs *args, const char *units, int32_t length,
                     UConverterCallbackReason reason, UErrorCode *err)
{
    if (reason <= UCNV_IRREGULAR)
        *(bool *)(uintptr_t)context = true;
    UCNV_TO_U_CALLBACK_SUBSTITUTE(NULL, args, units, length, reason, err);
}

/* What mail means by these names is more than they say, or ICU does not know them. */
static const struct {
    const char *name, *icu;
} aliases[] = {
    {"big5_tw", "big5"},
    {"eucgb2312_cn", "gb18030"},
    {"cp949", "windows-949"},
    {"euc-kr", "windows-949"},
    {"gb2312", "gb18030"},
    {"gb_2312-80", "gb18030"},
    {"gbk", "gb18030"},
    {"iso-2022-jp-ms", "iso-2022-jp"},
    {"iso-8859-1", "windows-1252"},
    {"koi8-ru", "koi8-u"},
    {"latin1", "windows-1252"},
    {"win-1251", "windows-1251"},
    {"x-gbk", "gb18030"},
};

static const char *icu_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (str_ieq(name, aliases[i].name))
            return aliases[i].icu;
    }
    return name;
}

static UConverter *open_icu(const char *name)
{
    UErrorCode err = U_ZERO_ERROR;
    UConverter *icu = is_plain_name(name) ? ucnv_open(icu_name(name), &err) : NULL;

    return U_SUCCESS(err) ? icu : NULL;
}

bool charset_is_known(const char *name)
{
    UConverter *icu;

    if (kind_of(name) != KIND_ICU)
        return true;
    icu = open_icu(name);
    ucnv_close(icu);
    return icu != NULL;
}

void charset_names(struct buf *to)
{
    int32_t n = ucnv_countAvailable();

    buf_puts(to, "UTF-8 US-ASCII");
    for (int32_t i = 0; i < n; i++) {
        UErrorCode err = U_ZERO_ERROR;
        const char *icu = ucnv_getAvailableName(i), *name = ucnv_getStandardName(icu, "MIME", &err);

        if (name == NULL)
            name = ucnv_getStandardName(icu, "IANA", &err);
        if (name != NULL && kind_of(name) == KIND_ICU && is_plain_name(name) && strpbrk(name, "()") == NULL)
            buf_printf(to, " %s", name);
    }
}

int converter_new(const char *charset, struct converter **c_r)
{
    struct converter *c = xcalloc(1, sizeof(*c));
    UErrorCode err = U_ZERO_ERROR;

    *c_r = NULL;
    c->kind = kind_of(charset);
    if (c->kind == KIND_ICU) {
        c->icu = open_icu(charset);
        if (c->icu == NULL) {
            free(c);
            return ERR_UNSUPPORTED;
        }
        ucnv_setToUCallBack(c->icu, on_error, &c->errors, NULL, NULL, &err);
    }
    *c_r = c;
    return 0;
}

void converter_free(struct converter **c)
{
    if (*c == NULL)
        return;
    ucnv_close((*c)->icu);
    free(*c);
    *c = NULL;
}

bool converter_had_errors(const struct converter *c)
{
    return c->errors;
}

/* ---- ASCII and UTF-8 ---- */

static size_t ascii_run(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (unsigned char)s[i] < 0x80)
        i++;
    return i;
}

static void feed_ascii(struct converter *c, const char *s, size_t n, struct buf *to)
{
    while (n > 0) {
        size_t run = ascii_run(s, n);

        buf_append(to, s, run);
        if (run < n) {
            utf8_append(to, UTF8_REPLACEMENT);
            c->errors = true;
            run++;
        }
        s += run;
        n -= run;
    }
}

/* Appends characters up to the end, or up to one that more input may finish; returns the bytes taken. */
static size_t put_utf8(struct converter *c, const char *s, size_t n, struct buf *to)
{
    size_t i = 0;

    while (i < n) {
        size_t run = ascii_run(s + i, n - i), used;
        uint32_t ch;

        buf_append(to, s + i, run);
        i += run;
        if (i == n || utf8_is_partial(s + i, n - i))
            break;
        used = utf8_next(s + i, n - i, &ch);
        c->errors |= ch == UTF8_REPLACEMENT && used == 1;
        utf8_append(to, ch);
        i += used;
    }
    return i;
}

static void feed_utf8(struct converter *c, const char *s, size_t n, struct buf *to)
{
    while (c->held_len > 0 && n > 0) {
        size_t used;

        c->held[c->held_len++] = *s++;
        n--;
        used = put_utf8(c, c->held, c->held_len, to);
        memmove(c->held, c->held + used, c->held_len - used);
        c->held_len -= used;
    }
    if (n > 0) {
        size_t used = put_utf8(c, s, n, to);

        c->held_len = n - used;
        memcpy(c->held, s + used, c->held_len);
    }
}

/* ---- ICU ---- */

static void put_units(struct converter *c, const UChar *units, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        if (c->high != 0) {
            utf8_append(to, U16_IS_TRAIL(units[i]) ? (uint32_t)U16_GET_SUPPLEMENTARY(c->high, units[i])
                                                   : (uint32_t)UTF8_REPLACEMENT);
            c->high = 0;
        } else if (U16_IS_LEAD(units[i])) {
            c->high = units[i];
        } else {
            utf8_append(to, U16_IS_TRAIL(units[i]) ? (uint32_t)UTF8_REPLACEMENT : units[i]);
        }
    }
}

static void feed_icu(struct converter *c, const char *s, size_t n, bool flush, struct buf *to)
{
    UChar units[UNITS];
    const char *end = s + n;
    UErrorCode err;

    do {
        UChar *out = units;

        err = U_ZERO_ERROR;
        ucnv_toUnicode(c->icu, &out, units + UNITS, &s, end, NULL, flush, &err);
        put_units(c, units, (size_t)(out - units), to);
    } while (err == U_BUFFER_OVERFLOW_ERROR);
}

void converter_feed(struct converter *c, const char *data, size_t n, struct buf *to)
{
    switch (c->kind) {
    case KIND_ASCII:
        feed_ascii(c, data, n, to);
        break;
    case KIND_UTF8:
        feed_utf8(c, data, n, to);
        break;
    case KIND_ICU:
        feed_icu(c, data, n, false, to);
        break;
    }
}

void converter_finish(struct converter *c, struct buf *to)
{
    if (c->kind == KIND_ICU) {
        feed_icu(c, "", 0, true, to);
        ucnv_resetToUnicode(c->icu);
    }
    if (c->held_len > 0 || c->high != 0) {
        utf8_append(to, UTF8_REPLACEMENT);
        c->errors = true;
    }
    c->held_len = 0;
    c->high = 0;
}

int charset_to_utf8(const char *charset, const char *data, size_t n, struct buf *to)
{
    struct converter *c;
    int r = converter_new(charset, &c);

    if (r != 0)
        return r;
    converter_feed(c, data, n, to);
    converter_finish(c, to);
    r = c->errors ? ERR_SYNTAX : 0;
    converter_free(&c);
    return r;
}

void charset_repair_utf8(const char *s, size_t n, struct buf *to)
{
    struct converter c = {.kind = KIND_UTF8};

    converter_feed(&c, s, n, to);
    converter_finish(&c, to);
}
