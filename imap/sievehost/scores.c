#include "imap/sievehost/scores.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"

/* A number, read without regard to the locale; false: there is none. */
static bool read_number(const char *text, double *number_r)
{
    bool minus = *text == '-';
    double number = 0, unit = 1;
    size_t digits = 0;

    text += *text == '-' || *text == '+';
    for (; *text >= '0' && *text <= '9'; text++, digits++)
        number = number * 10 + (*text - '0');
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, digits++)
            number += (*text - '0') * (unit /= 10);
    *number_r = minus ? -number : number;
    return digits > 0;
}

int score_of_text(const char *text, double most, bool percent)
{
    int least = percent ? 0 : 1, top = percent ? 100 : 10;
    size_t stars;
    double score;

    text += strspn(text, " \t");
    stars = strspn(text, "*");
    score = (double)stars;
    if (stars == 0 && !read_number(text, &score))
        return -1;
    if (score <= 0)
        return least;
    if (score >= most)
        return top;
    return least + 1 + (int)((top - least - 1) * score / most); /* neither clean nor certain */
}

int score_of_word(const char *text, const char *values)
{
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, values, " \t");
    int found = 0;

    text += strspn(text, " \t");
    if (*text >= '0' && *text <= '5' && (text[1] == '\0' || strchr(" \t;,", text[1]) != NULL))
        found = *text - '0';
    for (size_t i = 0; i < words.count && found == 0; i++) {
        const char *equals = strrchr(words.items[i], '=');

        if (equals != NULL && equals[1] >= '1' && equals[1] <= '5' && equals[2] == '\0' &&
            str_ieq_n(text, words.items[i], (size_t)(equals - words.items[i])))
            found = equals[1] - '0';
    }
    pool_free(&pool);
    return found;
}

/* The value of the field of that name, unfolded; false: the option is not set, or there is no such field. */
static bool find_field(const char *name, const char *header, size_t n, struct buf *value)
{
    struct mail_field field;

    if (name == NULL || *name == '\0' || !mail_header_find(header, n, name, &field))
        return false;
    mail_field_unfold(&field, value);
    return true;
}

int score_spam(const char *header, size_t n, bool percent, struct buf *value)
{
    struct buf text = BUF_INIT;
    double most;
    int score = -1;

    if (!read_number(opt_string(OPT_SIEVE_SPAMTEST_MAX), &most) || most <= 0)
        most = 10;
    if (find_field(opt_string(OPT_SIEVE_SPAMTEST_HEADER), header, n, &text))
        score = score_of_text(buf_cstr(&text), most, percent);
    buf_free(&text);
    if (score >= 0)
        buf_printf(value, "%d", score);
    return score >= 0;
}

int score_virus(const char *header, size_t n, struct buf *value)
{
    struct buf text = BUF_INIT;
    int score = 0;

    if (find_field(opt_string(OPT_SIEVE_VIRUSTEST_HEADER), header, n, &text))
        score = score_of_word(buf_cstr(&text), opt_string(OPT_SIEVE_VIRUSTEST_VALUES));
    buf_free(&text);
    if (score > 0)
        buf_printf(value, "%d", score);
    return score > 0;
}
