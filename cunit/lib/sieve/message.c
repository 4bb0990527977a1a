/* body and date. */
#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

struct row {
    const char *test;
    bool want;
};

/* RFC 5173 5.2, its example. */
static const char nested[] =
    "From: Whomever\nSubject: whatever\nContent-Type: multipart/mixed; boundary=outer\n\n"
    "& This is a multi-part message in MIME format.\n\n"
    "--outer\nContent-Type: multipart/alternative; boundary=inner\n\n"
    "& This is a nested multi-part message in MIME format.\n\n"
    "--inner\nContent-Type: text/plain; charset=\"us-ascii\"\n\n$ Hello\n\n"
    "--inner\nContent-Type: text/html; charset=\"us-ascii\"\n\n% <html><body>Hello</body></html>\n\n"
    "--inner--\n\n& This is the end of the inner MIME multipart.\n\n"
    "--outer\nContent-Type: message/rfc822\n\nFrom: ! Someone Else\nSubject: ! hello request\n\n"
    "$ Please say Hello\n\n"
    "--outer--\n\n& This is the end of the outer MIME multipart.\n";

static void test_body(void)
{
    static const struct row rows[] = {
        {"body :content \"multipart\" :contains \"multi-part message\"", true},
        {"body :content \"multipart\" :contains \"nested multi-part\"", true},
        {"body :content \"multipart\" :contains \"end of the inner\"", true},
        {"body :content \"multipart\" :contains \"end of the outer\"", true},
        {"body :content \"multipart\" :contains \"hello\"", false},
        {"body :content \"multipart\" :contains \"--inner\"", false},
        {"body :content \"multipart\" :contains \"--outer\"", false},
        {"body :content \"multipart\" :contains \"text/plain\"", false},
        {"body :content \"text/plain\" :contains \"$ hello\"", true},
        {"body :content \"text/plain\" :contains \"please say\"", true},
        {"body :content \"text/plain\" :contains \"<html>\"", false},
        {"body :content \"text/html\" :contains \"<html>\"", true},
        {"body :content \"text\" :contains \"% \"", true},
        {"body :content \"message/rfc822\" :contains \"! hello\"", true},
        {"body :content \"message/rfc822\" :contains \"please\"", false},
        {"body :content \"\" :contains \"please\"", true},
        {"body :content \"/\" :contains \"\"", false},
        {"body :content \"text/\" :contains \"\"", false},
        {"body :content \"/plain\" :contains \"\"", false},
        {"body :content \"text/plain/x\" :contains \"\"", false},
        {"body :content \"audio\" :contains \"\"", false},
        {"body :raw :contains \"--outer--\"", true},
        {"body :raw :contains \"Subject: whatever\"", false},
        {"body :contains \"hello\"", true},
        {"body :text :contains \"! hello\"", false},
        {"body :matches \"*please*\"", true},
        {"body :regex \"please (say|do)\"", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        play_test(rows[i].test, nested, rows[i].want);
}

static void test_decoding(void)
{
    static const char latin[] = "Content-Type: text/plain; charset=iso-8859-1\n"
                                "Content-Transfer-Encoding: quoted-printable\n\nun pr=E9sent=\n ici\n";
    static const char base64[] =
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
        "dW4gcHLDqXNlbnQ=\n";

    play_test("body :contains \"un pr\xc3\xa9sent ici\"", latin, true);
    play_test("body :raw :contains \"=E9\"", latin, true);
    play_test("body :contains \"=E9\"", latin, false);
    play_test("body :is \"un pr\xc3\xa9sent\"", base64, true);
    play_test("body :contains \"\"", "Subject: no body\n", false);
    play_test("body :raw :contains \"\"", "Subject: no body\n", false);
    play_test("body :contains \"\"", "Subject: empty body\n\n", true);
}

static void test_date(void)
{
    static const struct row rows[] = {
        {"date :originalzone \"date\" \"year\" \"1997\"", true},
        {"date :originalzone \"date\" \"month\" \"04\"", true},
        {"date :originalzone \"date\" \"day\" \"01\"", true},
        {"date :originalzone \"date\" \"date\" \"1997-04-01\"", true},
        {"date :originalzone \"date\" \"time\" \"09:06:31\"", true},
        {"date :originalzone \"date\" \"hour\" \"09\"", true},
        {"date :originalzone \"date\" \"minute\" \"06\"", true},
        {"date :originalzone \"date\" \"second\" \"31\"", true},
        {"date :originalzone \"date\" \"zone\" \"-0800\"", true},
        {"date :originalzone \"date\" \"weekday\" \"2\"", true},
        {"date :originalzone \"date\" \"julian\" \"50539\"", true},
        {"date :originalzone \"date\" \"iso8601\" \"1997-04-01T09:06:31-08:00\"", true},
        {"date :originalzone \"date\" \"std11\" \"Tue, 01 Apr 1997 09:06:31 -0800\"", true},
        {"date :zone \"+0000\" \"date\" \"iso8601\" \"1997-04-01T17:06:31Z\"", true},
        {"date :zone \"+0530\" \"date\" \"time\" \"22:36:31\"", true},
        {"date :zone \"+0700\" \"date\" \"day\" \"02\"", true},
        {"date :zone \"+0000\" \"received\" \"date\" \"2026-11-21\"", true},
        {"date :zone \"-0500\" :index 2 \"received\" \"second\" \"58\"", true},
        {"date :zone \"-0500\" :index 3 \"received\" \"second\" \"58\"", false},
        {"date \"subject\" \"year\" \"2026\"", false},
        {"date \"x-missing\" \"year\" \"2026\"", false},
        {"date :count \"eq\" :comparator \"i;ascii-numeric\" \"subject\" \"year\" \"0\"", true},
        {"currentdate :zone \"+0000\" \"iso8601\" \"2026-11-21T12:00:00Z\"", true},
        {"currentdate :zone \"-1300\" \"date\" \"2026-11-20\"", true},
        {"currentdate :zone \"+0000\" \"weekday\" \"6\"", true},
        {"currentdate :value \"ge\" :zone \"+0000\" \"date\" \"2026-11-21\"", true},
        {"currentdate :value \"gt\" :zone \"+0000\" \"hour\" \"12\"", false},
        {"currentdate :count \"eq\" :comparator \"i;ascii-numeric\" \"year\" \"1\"", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        play_test(rows[i].test, NULL, rows[i].want);
}

static const struct unit_case cases[] = {
    {"body", test_body},
    {"decoding", test_decoding},
    {"dates", test_date},
    {NULL, NULL},
};

const struct unit_suite sieve_message_suite = {"message", cases};
