/* Tests that ask the host. */
#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_questions(void)
{
    static const struct {
        const char *test;
        bool want;
    } rows[] = {
        {"environment \"phase\" \"during\"", true},
        {"environment \"phase\" \"pre\"", false},
        {"environment :contains \"unknown\" \"\"", false},
        {"environment :count \"eq\" :comparator \"i;ascii-numeric\" \"unknown\" \"0\"", true},
        {"mailboxexists \"INBOX\"", true},
        {"mailboxexists [\"INBOX\", \"missing\"]", false},
        {"mailboxidexists \"M1\"", true},
        {"mailboxidexists \"M2\"", false},
        {"specialuse_exists \"\\\\Sent\"", true},
        {"specialuse_exists \"Sent\" \"\\\\sent\"", true},
        {"specialuse_exists \"INBOX\" \"\\\\Sent\"", false},
        {"specialuse_exists [\"\\\\Sent\", \"\\\\Junk\"]", false},
        {"metadata \"INBOX\" \"/private/comment\" \"mine\"", true},
        {"metadata :contains \"INBOX\" \"/private/other\" \"\"", false},
        {"metadataexists \"INBOX\" \"/private/comment\"", true},
        {"metadataexists \"INBOX\" [\"/private/comment\", \"/private/x\"]", false},
        {"servermetadata :matches \"/shared/admin\" \"mailto:*\"", true},
        {"servermetadataexists \"/shared/admin\"", true},
        {"servermetadataexists \"/shared/comment\"", false},
        {"valid_ext_list \":addrbook:default\"", true},
        {"valid_ext_list [\":addrbook:default\", \"x\"]", false},
        {"valid_notify_method [\"mailto:a@b.example\"]", true},
        {"valid_notify_method [\"mailto:a@b.example\", \"tel:1\"]", false},
        {"notify_method_capability \"mailto:a@b.example\" \"Online\" [\"maybe\"]", true},
        {"notify_method_capability \"mailto:a@b.example\" \"frob\" [\"maybe\"]", false},
        {"spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"5\"", true},
        {"spamtest \"8\"", true},
        {"spamtest :percent \"75\"", true},
        {"virustest \"0\"", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        play_test(rows[i].test, NULL, rows[i].want);
}

static void test_failure(void)
{
    struct play p = {
        .script = "require [\"mailbox\", \"fileinto\"];\nfileinto \"a\";\nif mailboxexists \"broken\" {}",
        .host = &play_world};

    play_expect(&p, "line 3: mailboxexists: input/output error / keep*");
}

static void test_duplicate(void)
{
    static const struct {
        const char *test, *want;
    } rows[] = {
        {"duplicate", "remember:<m1@desert.example.org>/0 keep*"},
        {"duplicate :uniqueid \"seen it\"", ""},
        {"duplicate :last :seconds 60 :uniqueid \"seen it\"", "remember:seen it/60"},
        {"duplicate :handle \"h\" :header \"x-count\"", "remember:with handle 007/0 keep*"},
        {"duplicate :header \"x-missing\"", "keep*"},
        {"anyof (duplicate, duplicate)", "remember:<m1@desert.example.org>/0 keep*"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf script = BUF_INIT;
        struct play p = {.host = &play_world};

        buf_printf(&script, "require [\"duplicate\", \"reject\"]; if %s { discard; }", rows[i].test);
        p.script = buf_cstr(&script);
        play_expect(&p, rows[i].want);
        buf_free(&script);
    }
}

/* RFC 6785: a message that is in a mailbox. */
static void test_event(void)
{
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"", "keep[\\Flagged a]* = \\Flagged a"},
        {"require \"imap4flags\"; if hasflag \"\\\\flagged\" { removeflag \"a\"; addflag \"b\"; }",
         "keep[\\Flagged b]* = \\Flagged b"},
        {"require \"imap4flags\"; setflag \"\"; discard;", " = "},
        {"require \"imap4flags\"; keep :flags \"c\";", "keep[c] = \\Flagged a"},
        {"require [\"imap4flags\", \"fileinto\"]; fileinto \"x\"; addflag \"b\";",
         "fileinto:x[\\Flagged a] = \\Flagged a b"},
        {"require [\"imap4flags\", \"fileinto\", \"copy\"]; fileinto :copy \"x\";",
         "fileinto:x[\\Flagged a] keep[\\Flagged a]* = \\Flagged a"},
        {"require [\"imap4flags\", \"envelope\"];\nsetflag \"b\";\nif envelope \"to\" \"a\" {}",
         "line 3: envelope is for new messages / keep* = \\Flagged a"},
        {"require \"reject\";", "line 1: \"reject\" is for new messages / keep* = \\Flagged a"},
        {"require \"ereject\";", "line 1: \"ereject\" is for new messages / keep* = \\Flagged a"},
        {"require [\"copy\", \"vacation\"]; keep;",
         "line 1: \"vacation\" is for new messages / keep* = \\Flagged a"},
        {"require \"ihave\";\nif ihave \"reject\" { reject \"no\"; }",
         "line 2: reject is for new messages / keep* = \\Flagged a"},
        {"require \"ihave\";\nif ihave \"vacation\" { vacation \"no\"; }",
         "line 2: vacation is for new messages / keep* = \\Flagged a"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct play p = {.script = rows[i].script, .host = &play_world, .flags = "\\Flagged a"};

        play_expect(&p, rows[i].want);
    }
}

static const struct unit_case cases[] = {
    {"an event", test_event},
    {"questions", test_questions},
    {"a host that fails", test_failure},
    {"duplicate", test_duplicate},
    {NULL, NULL},
};

const struct unit_suite sieve_world_suite = {"world", cases};
