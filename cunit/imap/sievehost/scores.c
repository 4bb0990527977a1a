#include "imap/sievehost/scores.h"

#include <stdio.h>
#include <string.h>

#include "cunit/imap/sievehost/place.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_spam(void)
{
    static const struct {
        const char *text;
        double most;
        int score, percent;
    } rows[] = {
        {"0", 10, 1, 0},     {"-3.5", 10, 1, 0},      {"0.0", 10, 1, 0},    {"0.1", 10, 2, 1},
        {"5", 10, 6, 50},    {"9.99", 10, 9, 99},     {"10", 10, 10, 100},  {"1e9", 10, 2, 10},
        {"99", 10, 10, 100}, {"5.3 / 5", 5, 10, 100}, {"*****", 10, 6, 50}, {"**********", 10, 10, 100},
        {" +2.5", 5, 6, 50}, {"", 10, -1, -1},        {"yes", 10, -1, -1},  {"-", 10, -1, -1},
        {".", 10, -1, -1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int score = score_of_text(rows[i].text, rows[i].most, false);
        int percent = score_of_text(rows[i].text, rows[i].most, true);

        CU_ASSERT_EQUAL(score, rows[i].score);
        CU_ASSERT_EQUAL(percent, rows[i].percent);
        if (score != rows[i].score || percent != rows[i].percent)
            fprintf(stderr, "\n\"%s\": %d, %d%%\n", rows[i].text, score, percent);
    }
}

static void test_virus(void)
{
    static const char values[] = "clean=1 cured=3 infected=5 Found=virus=4 bad=9 none";
    static const struct {
        const char *text;
        int score;
    } rows[] = {
        {"Clean", 1},
        {" clean (v1)", 1},
        {"INFECTED: Eicar", 5},
        {"found=virus", 4},
        {"cured", 3},
        {"4", 4},
        {"0", 0},
        {"2; x", 2},
        {"6", 0},
        {"44", 0},
        {"bad", 0},
        {"none", 0},
        {"", 0},
        {"not clean", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(score_of_word(rows[i].text, values), rows[i].score);
}

static int spam_of(const char *header, const char *want)
{
    struct buf value = BUF_INIT;
    int tested = score_spam(header, strlen(header), false, &value);
    int same = strcmp(buf_cstr(&value), want) == 0 && tested == (*want != '\0');

    buf_free(&value);
    return same;
}

static void test_fields(void)
{
    struct buf value = BUF_INIT;

    place_new("sieve_spamtest_header: X-Score\nsieve_spamtest_max: 5\nsieve_virustest_header: X-Virus\n");
    CU_ASSERT(spam_of("Subject: a\r\nx-score: 2.5\r\nX-Score: 9\r\n\r\n", "6"));
    CU_ASSERT(spam_of("Subject: a\r\n\r\nX-Score: 5\r\n", ""));
    CU_ASSERT_EQUAL(score_virus("X-Virus: Infected\r\n\r\n", 21, &value), 1);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&value), "5");
    place_new("");
    CU_ASSERT(spam_of("X-Score: 2.5\r\n\r\n", ""));
    CU_ASSERT_EQUAL(score_virus("X-Virus: Infected\r\n\r\n", 21, &value), 0);
    buf_free(&value);
}

static const struct unit_case cases[] = {
    {"spam", test_spam},
    {"viruses", test_virus},
    {"fields", test_fields},
    {NULL, NULL},
};

extern const struct unit_suite scores_suite;
const struct unit_suite scores_suite = {"scores", cases};
