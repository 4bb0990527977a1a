/* if, stop, set, include, ihave, flags, edits. */
#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

struct row {
    const char *script, *want;
};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf script = BUF_INIT;
        struct play p = {.host = &play_world};

        buf_printf(&script, "%s%s", play_requires, rows[i].script);
        p.script = buf_cstr(&script);
        play_expect(&p, rows[i].want);
        buf_free(&script);
    }
}

static void test_branches(void)
{
    static const struct row rows[] = {
        {"", "keep*"},
        {"keep;", "keep"},
        {"stop; discard;", "keep*"},
        {"discard; stop; keep;", ""},
        {"if false { keep; } elsif true { discard; } elsif true { fileinto \"a\"; } else { fileinto \"b\"; } "
         "stop;",
         ""},
        {"if false { keep; } elsif false { discard; } else { fileinto \"b\"; }", "fileinto:b"},
        {"if true { if true { stop; } } fileinto \"never\";", "keep*"},
        {"if not true { discard; }", "keep*"},
        {"if allof (true, false, true) { discard; }", "keep*"},
        {"if anyof (false, true) { discard; }", ""},
        {"if anyof () { }", "line 2: a test is missing.\n"},
        {"if true { } else { discard; } if false { } else { fileinto \"x\"; }", "fileinto:x"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_set(void)
{
    static const struct row rows[] = {
        {"set \"a\" \"b\"; fileinto \"${a}\";", "fileinto:b"},
        {"set \"a\" \"b\"; fileinto \"${A}${a}${nothing}c\";", "fileinto:bbc"},
        {"set \"a\" \"$\"; fileinto \"${a}{a} ${ a} ${a ${} ${0}x\";", "fileinto:${a} ${ a} ${a ${} x"},
        {"set \"x\" \"a\"; set \"${x}\" \"b\";", "line 2: \"${x}\" must be constant.\n"},
        {"set \"a\" \"juMBlEd lETteRS\"; set :length \"b\" \"${a}\"; fileinto \"${b}\";", "fileinto:15"},
        {"set :lower \"b\" \"juMBlEd lETteRS\"; fileinto \"${b}\";", "fileinto:jumbled letters"},
        {"set :upperfirst :lower \"b\" \"juMBlEd lETteRS\"; fileinto \"${b}\";", "fileinto:Jumbled letters"},
        {"set :lowerfirst :upper \"b\" \"juMBlEd lETteRS\"; fileinto \"${b}\";", "fileinto:jUMBLED LETTERS"},
        {"set :quotewildcard \"b\" \"Rock*\"; fileinto \"${b}\";", "fileinto:Rock\\*"},
        {"set :quoteregex \"b\" \"a.b\"; fileinto \"${b}\";", "fileinto:a\\.b"},
        {"set :quotewildcard :length \"b\" \"Rock*\"; fileinto \"${b}\";", "fileinto:6"},
        {"set :encodeurl \"b\" \"a b/\xc3\xa9\"; fileinto \"${b}\";", "fileinto:a%20b%2F%C3%A9"},
        {"set :length \"b\" \"\xc3\xa9t\xc3\xa9\"; fileinto \"${b}\";", "fileinto:3"},
        {"if string :is \"${x}\" \"\" { discard; }", ""},
        {"set \"x\" \"yes\"; if string \"${x}\" [\"no\", \"YES\"] { discard; }", ""},
        {"if string :count \"eq\" :comparator \"i;ascii-numeric\" [\"a\", \"\", \"b\"] \"2\" { discard; }",
         ""},
        {"fileinto \"${nothing}\";", "line 2: \"\" is no name of a mailbox / keep*"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_include(void)
{
    static const struct row rows[] = {
        {"include \"files\";", "fileinto:from-include"},
        {"include :global \"files\";", "fileinto:from-global"},
        {"include :personal \"files\"; include :global \"files\"; include \"files\";",
         "fileinto:from-include fileinto:from-global"},
        {"include \"stops\"; discard;", "keep*"},
        {"include \"returns\"; discard;", ""},
        {"return; discard;", "keep*"},
        {"include \"missing\";", "line 2: script \"missing\" cannot be included: not found / keep*"},
        {"include :optional \"missing\"; discard;", ""},
        {"include :optional \"fails\"; discard;",
         "line 2: script \"fails\" cannot be included: syntax error / keep*"},
        {"fileinto \"x\"; include \"loops\";",
         "script \"loops\", line 1: script \"loops\" includes itself / keep*"},
        {"include \"loops-once\";", "keep"},
        {"include :once \"files\"; include :once \"files\"; include :once :global \"files\";",
         "fileinto:from-include fileinto:from-global"},
        {"include \"deeper\";", "fileinto:from-include fileinto:from-global"},
        {"global \"shared\"; set \"shared\" \"a\"; include \"sets\"; include \"sets\"; fileinto "
         "\"${shared}${own}\";",
         "fileinto:a++"},
        {"set \"global.shared\" \"b\"; include \"sets\"; fileinto \"${global.shared}\";", "fileinto:b+"},
        {"set \"a\" \"b\"; global \"a\";", "line 2: global comes behind the first use of a variable / keep*"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_ihave(void)
{
    static const struct row rows[] = {
        {"require \"ihave\"; if ihave \"fileinto\" { fileinto \"a\"; }", "fileinto:a"},
        {"require \"ihave\"; if ihave [\"fileinto\", \"frobs\"] { frobnicate :hard; } else { discard; }", ""},
        {"require \"ihave\"; if ihave \"frobs\" { if frob \"x\" { keep :frob; } }", "keep*"},
        {"require \"ihave\"; if not ihave \"frobs\" { error \"no frobs\"; }", "line 2: no frobs / keep*"},
        {"require \"ihave\"; frobnicate;", "line 2: unknown command \"frobnicate\" / keep*"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_flags(void)
{
    static const struct row rows[] = {
        {"setflag \"\\\\Seen\"; keep;", "keep[\\Seen]"},
        {"addflag [\"\\\\Seen\", \"a b\"]; removeflag \"B\";", "keep[\\Seen a]*"},
        {"addflag \" a  A  b \"; fileinto \"x\";", "fileinto:x[a b]"},
        {"setflag \"a\"; fileinto :flags \"\" \"x\"; fileinto :flags [\"\\\\Flagged\", \"c\"] \"y\"; keep;",
         "fileinto:x fileinto:y[\\Flagged c] keep[a]"},
        {"fileinto :flags \"a\" \"x\"; fileinto :flags \"b\" \"x\";", "fileinto:x[b]"},
        {"keep :flags \"\\\\Recent \\\\Unknown a(b ok\";", "keep[ok]"},
        {"setflag \"v\" [\"a\", \"b\"]; addflag \"v\" \"c\"; fileinto \"${v}\";", "fileinto:a b c"},
        {"setflag \"a b\"; if hasflag \"b A\" { discard; }", ""},
        {"setflag \"a b\"; if hasflag [\"c\", \"d\"] { discard; }", "keep[a b]*"},
        {"set \"v\" \"NonJunk Junk\"; if hasflag :contains \"v\" [\"label\", \"unk\"] { discard; }", ""},
        {"set \"v\" \"A B a\"; if hasflag :count \"eq\" :comparator \"i;ascii-numeric\" \"v\" \"2\" { "
         "discard; }",
         ""},
        {"addflag \"a\"; stop;", "keep[a]*"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

/* What the script sees and what the actions carry (RFC 5293). */
static void test_edit(void)
{
    static const struct row rows[] = {
        {"addheader \"X-A\" \"1\"; if header \"x-a\" \"1\" { keep; }", "keep(edited)"},
        {"keep; addheader \"X-A\" \"1\";", "keep"},
        {"addheader \"X-A\" \"1\";", "keep(edited)*"},
        {"addheader \"X-A\" \"1\"; addheader \"X-A\" \"2\"; if header :index 1 \"x-a\" \"2\" { discard; }",
         ""},
        {"addheader \"X-A\" \"1\"; addheader :last \"X-A\" \"2\"; if header :index 1 :last \"x-a\" \"2\" { "
         "discard; }",
         ""},
        {"addheader \"X-A\" \"\xc3\xa9t\xc3\xa9\"; if header \"x-a\" \"\xc3\xa9t\xc3\xa9\" { discard; }", ""},
        {"addheader \"X-A\" text:\na\nb\n.\n;",
         "line 2: the value of a header field holds control characters / keep*"},
        {"deleteheader \"x-count\"; if not exists \"x-count\" { discard; }", ""},
        {"deleteheader \"received\"; if exists \"received\" { discard; }", ""},
        {"deleteheader \"x-missing\";", "keep*"},
        {"deleteheader :contains \"cc\" \"nobody\"; if exists \"cc\" { discard; }", ""},
        {"deleteheader :contains \"cc\" \"group\"; if not exists \"cc\" { discard; }", ""},
        {"addheader \"X-A\" \"1\"; addheader \"X-A\" \"2\"; addheader \"X-A\" \"3\"; deleteheader :index 1 "
         ":last \"x-a\";"
         "if allof (header \"x-a\" \"2\", header \"x-a\" \"3\", not header \"x-a\" \"1\") { discard; }",
         ""},
        {"addheader \"X A\" \"1\";", "line 2: \"X A\" is no name of a header field.\n"},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static const struct unit_case cases[] = {
    {"branches", test_branches},
    {"set", test_set},
    {"include", test_include},
    {"ihave", test_ihave},
    {"flags", test_flags},
    {"edit", test_edit},
    {NULL, NULL},
};

const struct unit_suite sieve_control_suite = {"control", cases};
