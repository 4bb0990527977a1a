/* What a server's line means in each protocol of imtest's family. */
#include "imap/tools/imtest.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static const struct protocol *find(const char *program)
{
    for (size_t i = 0; i < protocols_count; i++) {
        if (strcmp(protocols[i].program, program) == 0)
            return &protocols[i];
    }
    return NULL;
}

static void test_answers(void)
{
    static const struct {
        const char *program;
        enum phase phase;
        const char *line;
        enum answer answer;
        const char *data;
    } rows[] = {
        {"imtest", PHASE_GREETING, "* OK hello", ANSWER_OK, NULL},
        {"imtest", PHASE_GREETING, "* PREAUTH hello", ANSWER_OK, NULL},
        {"imtest", PHASE_GREETING, "* BYE busy", ANSWER_BYE, NULL},
        {"imtest", PHASE_GREETING, "* OKAY", ANSWER_MORE, NULL},
        {"imtest", PHASE_AUTH, "* OK still there", ANSWER_MORE, NULL},
        {"imtest", PHASE_AUTH, "+ YQ==", ANSWER_CHALLENGE, "YQ=="},
        {"imtest", PHASE_AUTH, "+ ", ANSWER_CHALLENGE, ""},
        {"imtest", PHASE_AUTH, "+", ANSWER_CHALLENGE, ""},
        {"imtest", PHASE_AUTH, "A01 ok in", ANSWER_OK, NULL},
        {"imtest", PHASE_AUTH, "A01 NO out", ANSWER_NO, NULL},
        {"imtest", PHASE_AUTH, "A01 BAD what", ANSWER_NO, NULL},
        {"imtest", PHASE_AUTH, "A01", ANSWER_NO, NULL},
        {"imtest", PHASE_AUTH, "", ANSWER_NO, NULL},
        {"mupdatetest", PHASE_GREETING, "* AUTH \"PLAIN\"", ANSWER_MORE, NULL},
        {"mupdatetest", PHASE_GREETING, "* OK MUPDATE \"m\"", ANSWER_OK, NULL},
        {"mupdatetest", PHASE_AUTH, "YWI=", ANSWER_CHALLENGE, "YWI="},
        {"mupdatetest", PHASE_AUTH, "", ANSWER_CHALLENGE, ""},
        {"mupdatetest", PHASE_AUTH, "A01 OK \"in\"", ANSWER_OK, NULL},
        {"mupdatetest", PHASE_COMMAND, "S01", ANSWER_NO, NULL},
        {"synctest", PHASE_GREETING, "* SASL PLAIN", ANSWER_MORE, NULL},
        {"synctest", PHASE_AUTH, "OK in", ANSWER_OK, NULL},
        {"synctest", PHASE_AUTH, "+ YQ==", ANSWER_CHALLENGE, "YQ=="},
        {"synctest", PHASE_AUTH, "BAD x", ANSWER_NO, NULL},
        {"synctest", PHASE_AUTH, "BYE x", ANSWER_BYE, NULL},
        {"pop3test", PHASE_GREETING, "+OK", ANSWER_OK, NULL},
        {"pop3test", PHASE_CAPABILITY, "+OK list", ANSWER_MORE, NULL},
        {"pop3test", PHASE_CAPABILITY, "SASL PLAIN", ANSWER_MORE, NULL},
        {"pop3test", PHASE_CAPABILITY, ".", ANSWER_OK, NULL},
        {"pop3test", PHASE_CAPABILITY, "-ERR what", ANSWER_NO, NULL},
        {"pop3test", PHASE_AUTH, "+ ", ANSWER_CHALLENGE, ""},
        {"pop3test", PHASE_AUTH, "+OK", ANSWER_OK, NULL},
        {"pop3test", PHASE_AUTH, "what", ANSWER_NO, NULL},
        {"lmtptest", PHASE_GREETING, "220-x", ANSWER_MORE, NULL},
        {"lmtptest", PHASE_GREETING, "220 x", ANSWER_OK, NULL},
        {"lmtptest", PHASE_GREETING, "220", ANSWER_OK, NULL},
        {"lmtptest", PHASE_GREETING, "421 x", ANSWER_BYE, NULL},
        {"lmtptest", PHASE_AUTH, "334 YQ==", ANSWER_CHALLENGE, "YQ=="},
        {"lmtptest", PHASE_AUTH, "334", ANSWER_CHALLENGE, ""},
        {"lmtptest", PHASE_AUTH, "235 in", ANSWER_OK, NULL},
        {"lmtptest", PHASE_AUTH, "535 out", ANSWER_NO, NULL},
        {"lmtptest", PHASE_AUTH, "23", ANSWER_NO, NULL},
        {"lmtptest", PHASE_AUTH, "2350 x", ANSWER_NO, NULL},
        {"nntptest", PHASE_GREETING, "201 x", ANSWER_OK, NULL},
        {"nntptest", PHASE_GREETING, "400 x", ANSWER_BYE, NULL},
        {"nntptest", PHASE_CAPABILITY, "101 list", ANSWER_MORE, NULL},
        {"nntptest", PHASE_CAPABILITY, "VERSION 2", ANSWER_MORE, NULL},
        {"nntptest", PHASE_CAPABILITY, ".", ANSWER_OK, NULL},
        {"nntptest", PHASE_CAPABILITY, "500 what", ANSWER_NO, NULL},
        {"nntptest", PHASE_AUTH, "383 YQ==", ANSWER_CHALLENGE, "YQ=="},
        {"nntptest", PHASE_AUTH, "283 YQ==", ANSWER_OK, "YQ=="},
        {"nntptest", PHASE_AUTH, "281 in", ANSWER_OK, NULL},
        {"nntptest", PHASE_COMMAND, "381 more", ANSWER_OK, NULL},
        {"nntptest", PHASE_COMMAND, "382 go", ANSWER_OK, NULL},
        {"nntptest", PHASE_COMMAND, "482 no", ANSWER_NO, NULL},
        {"sivtest", PHASE_GREETING, "\"SASL\" \"PLAIN\"", ANSWER_MORE, NULL},
        {"sivtest", PHASE_GREETING, "OK", ANSWER_OK, NULL},
        {"sivtest", PHASE_GREETING, "BYE \"busy\"", ANSWER_BYE, NULL},
        {"sivtest", PHASE_AUTH, "\"YQ==\"", ANSWER_CHALLENGE, "\"YQ==\""},
        {"sivtest", PHASE_AUTH, "{4}", ANSWER_CHALLENGE, "{4}"},
        {"sivtest", PHASE_AUTH, "OK (SASL \"YQ==\") \"in\"", ANSWER_OK, "\"YQ==\") \"in\""},
        {"sivtest", PHASE_AUTH, "NO", ANSWER_NO, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct protocol *p = find(rows[i].program);
        const char *data = NULL;

        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(p->answer(rows[i].phase, rows[i].line, &data), rows[i].answer);
        CU_ASSERT_EQUAL(data == NULL, rows[i].data == NULL);
        if (data != NULL && rows[i].data != NULL)
            CU_ASSERT_STRING_EQUAL(data, rows[i].data);
    }
}

/* Every row has what the dialogue takes for granted. */
static void test_table(void)
{
    for (size_t i = 0; i < protocols_count; i++) {
        const struct protocol *p = &protocols[i];

        CU_ASSERT(find(p->program) == p);
        CU_ASSERT(p->service != NULL && p->port != NULL && p->mechs != NULL && p->starttls != NULL &&
                  p->starttls_word != NULL && p->logout != NULL && p->answer != NULL);
        CU_ASSERT(p->auth != NULL && strstr(p->auth, "%s") != NULL);
        CU_ASSERT_EQUAL(p->login == NULL, p->login_mech == NULL);
        CU_ASSERT_EQUAL(p->greets_again, p->capability == NULL);
    }
}

static const struct unit_case cases[] = {
    {"answers", test_answers},
    {"table", test_table},
    {NULL, NULL},
};

extern const struct unit_suite imtest_suite;
const struct unit_suite imtest_suite = {"imtest", cases};
