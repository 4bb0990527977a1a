/* What actions come out of a script, and what goes with what. */
#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

struct row {
    const char *script, *want;
};

static void run_rows(const struct row *rows, size_t count, const struct play *with)
{
    for (size_t i = 0; i < count; i++) {
        struct buf script = BUF_INIT;
        struct play p = *with;

        buf_printf(&script, "%s%s", play_requires, rows[i].script);
        p.script = buf_cstr(&script);
        if (p.host == NULL)
            p.host = &play_world;
        play_expect(&p, rows[i].want);
        buf_free(&script);
    }
}

static void test_delivery(void)
{
    static const struct row rows[] = {
        {"fileinto \"a\"; fileinto \"b\"; fileinto \"a\";", "fileinto:a fileinto:b"},
        {"fileinto :copy \"a\";", "fileinto:a keep*"},
        {"fileinto :copy :create \"a\"; discard;", "fileinto:a!create"},
        {"fileinto :specialuse \"\\\\Junk\" \"Spam\";", "fileinto:Spam!\\Junk"},
        {"fileinto :specialuse \"Junk\" \"Spam\";", "line 2: a special use begins with a backslash.\n"},
        {"fileinto :mailboxid \"M1\" \"Sent\";", "fileinto:Sent!M1"},
        {"keep; keep; discard;", "keep"},
        {"redirect \"Bob <b@c.example>\"; redirect \"B@C.example\"; redirect :copy \"d@e.example\";",
         "redirect:b@c.example redirect:d@e.example"},
        {"redirect :copy \"d@e.example\";", "redirect:d@e.example keep*"},
        {"redirect :list \":addrbook:default\";", "redirect:list :addrbook:default"},
        {"redirect \"${x}\";", "line 2: \"\" is no mail address / keep*"},
        {"reject \"no\"; ", "reject:no"},
        {"ereject \"no\"; discard;", "ereject:no"},
        {"reject \"no\"; keep;", "line 2: keep cannot go with what was done before / keep*"},
        {"fileinto \"a\"; reject \"no\";", "line 2: reject cannot go with what was done before / keep*"},
        {"reject \"a\"; ereject \"b\";", "line 2: ereject cannot go with what was done before / keep*"},
        {"reject \"a\"; vacation \"b\";", "line 2: vacation cannot go with what was done before / keep*"},
    };

    run_rows(rows, ARRAY_SIZE(rows), &(struct play){.from = NULL});
}

static void test_vacation(void)
{
    static const struct row rows[] = {
        {"vacation \"away\";", "vacation:coyote@desert.example.org,604800s,hash,-,away keep*"},
        {"vacation :days 3 :subject \"S\" :from \"rr@acme.example.com\" :handle \"h\" :mime \"away\";",
         "vacation:coyote@desert.example.org,259200s,h,S,from rr@acme.example.com,mime away keep*"},
        {"vacation :days 0 \"away\";", "vacation:coyote@desert.example.org,86400s,hash,-,away keep*"},
        {"vacation :days 4000000000 \"away\";",
         "vacation:coyote@desert.example.org,7776000s,hash,-,away keep*"},
        {"vacation :seconds 100000 \"away\";",
         "vacation:coyote@desert.example.org,100000s,hash,-,away keep*"},
        {"vacation :seconds 1 :days 1 \"away\";",
         "line 2: :days is given a second time, or beside another of its kind.\n"},
        {"vacation \"a\"; vacation \"b\";", "line 2: vacation is done a second time / keep*"},
        {"vacation :fcc \"Sent\" :flags \"\\\\Seen\" :create \"away\"; discard;",
         "vacation:coyote@desert.example.org,604800s,hash,-,away,fcc Sent[\\Seen]!create"},
        {"addflag \"x\"; vacation :fcc \"Sent\" \"away\"; discard;",
         "vacation:coyote@desert.example.org,604800s,hash,-,away,fcc Sent"},
    };

    run_rows(rows, ARRAY_SIZE(rows), &(struct play){.from = NULL});
}

/* To whom no answer goes (RFC 5230 4.5, 4.6). */
static void test_vacation_silent(void)
{
    static const struct {
        const char *from, *message;
        bool answered;
    } rows[] = {
        {"a@b.example", "To: roadrunner@acme.example.com\n\n", true},
        {"a@b.example", "To: RoadRunner+fast@acme.example.com\n\n", true},
        {"a@b.example", "To: somebody@acme.example.com\nCc: x, roadrunner@acme.example.com\n\n", true},
        {"a@b.example", "Resent-Bcc: roadrunner@acme.example.com\n\n", true},
        {"a@b.example", "To: third@acme.example.com\n\n", true},
        {"a@b.example", "To: somebody@acme.example.com\n\n", false},
        {"a@b.example", "\n", false},
        {"", "To: roadrunner@acme.example.com\n\n", false},
        {"MAILER-DAEMON@b.example", "To: roadrunner@acme.example.com\n\n", false},
        {"MAILER-DAEMON", "To: roadrunner@acme.example.com\n\n", false},
        {"owner-list@b.example", "To: roadrunner@acme.example.com\n\n", false},
        {"list-request@b.example", "To: roadrunner@acme.example.com\n\n", false},
        {"request@b.example", "To: roadrunner@acme.example.com\n\n", true},
        {"roadrunner+fast@acme.example.com", "To: roadrunner@acme.example.com\n\n", false},
        {"a@b.example", "To: roadrunner@acme.example.com\nList-Id: <x>\n\n", false},
        {"a@b.example", "To: roadrunner@acme.example.com\nPrecedence: Bulk\n\n", false},
        {"a@b.example", "To: roadrunner@acme.example.com\nAuto-Submitted: auto-replied\n\n", false},
        {"a@b.example", "To: roadrunner@acme.example.com\nAuto-Submitted: No\n\n", true},
        {"a@b.example", "To: roadrunner@acme.example.com\nAuto-Submitted: no; x=y\n\n", true},
        {"a@b.example", "To: roadrunner@acme.example.com\nAuto-Submitted: nothing\n\n", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf want = BUF_INIT;
        struct play p = {.script = "require \"vacation\"; vacation :handle \"h\" :addresses "
                                   "\"third@acme.example.com\" \"away\";",
                         .from = rows[i].from,
                         .message = rows[i].message,
                         .host = &play_world};

        if (rows[i].answered)
            buf_printf(&want, "vacation:%s,604800s,h,-,away ", rows[i].from);
        buf_puts(&want, "keep*");
        play_expect(&p, buf_cstr(&want));
        buf_free(&want);
    }
}

static void test_notify(void)
{
    static const struct row rows[] = {
        {"notify \"mailto:a@b.example\";", "notify:mailto:a@b.example,2,-, keep*"},
        {"notify :importance \"1\" :message \"hey\" :from \"c@d.example\" :options [\"a=b\", \"c=d\"] "
         "\"mailto:?to=a@b.example&body=x%20y\";",
         "notify:mailto:?to=a@b.example&body=x%20y,1,c@d.example,{a=b c=d}hey keep*"},
        {"notify :importance \"4\" \"mailto:a@b.example\";",
         "line 2: \"4\" is no importance: \"1\", \"2\" or \"3\".\n"},
        {"notify :from \"${x}\" \"mailto:a@b.example\";", "line 2: \"\" is no mail address / keep*"},
        {"notify \"mailto:a@b.example?body=%0d%0aBcc\";",
         "line 2: \"mailto:a@b.example?body=%0d%0aBcc\" is no valid mailto: URI.\n"},
        {"notify \"mailto:?subject=x\";", "line 2: \"mailto:?subject=x\" is no valid mailto: URI.\n"},
    };
    static const struct row automatic[] = {{"notify \"mailto:a@b.example\";", "keep*"}};

    run_rows(rows, ARRAY_SIZE(rows), &(struct play){.from = ""});
    run_rows(automatic, 1, &(struct play){.message = "Auto-Submitted: auto-notified\n\n"});
}

static const struct unit_case cases[] = {
    {"delivery", test_delivery},
    {"vacation", test_vacation},
    {"vacation keeps silent", test_vacation_silent},
    {"notify", test_notify},
    {NULL, NULL},
};

const struct unit_suite sieve_actions_suite = {"actions", cases};
