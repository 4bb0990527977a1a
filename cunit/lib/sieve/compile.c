/* What compiles and what does not, and the line that it is told of. */
#include <stdlib.h>
#include <string.h>

#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void expect_errors(const char *script, const char *want)
{
    struct play p = {.script = script, .host = &play_world};

    play_expect(&p, want);
}

static void test_good(void)
{
    static const char *const scripts[] = {
        "",
        "# a comment only",
        "/* another\n * one */ keep ; # and one more\r\nkeep;",
        "KEEP;",
        "if true {} elsif false {} else {}",
        "if anyof (true, not false, allof (true, true)) { }",
        "redirect \"a@b.example\";",
        "if size :over 10M { }",
        "if size :under 1k { }",
        "\xef\xbb\xbfkeep;",
        "if header :comparator \"i;octet\" :is [\"a\"] [\"b\", \"c\"] { }",
        "if header :is :comparator \"i;ascii-casemap\" \"a\" \"b\" { }",
    };

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        struct buf errors = BUF_INIT;
        struct sieve_script *script;

        CU_ASSERT_EQUAL(sieve_compile(scripts[i], strlen(scripts[i]), &errors, &script), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&errors), "");
        sieve_script_free(&script);
        CU_ASSERT_PTR_NULL(script);
        buf_free(&errors);
    }
}

static void test_syntax(void)
{
    static const struct {
        const char *script, *errors;
    } rows[] = {
        {"keep", "line 1: a semicolon is missing.\n"},
        {"keep;\nkeep\n\nkeep;", "line 2: keep takes no test (is a semicolon missing?).\n"},
        {"require [];", "line 1: a list of strings holds something else.\n"},
        {"keep;\n}", "line 2: a } closes nothing.\n"},
        {"if true {\nkeep;\n", "line 1: the block that begins here does not end.\n"},
        {"redirect \"abc", "line 1: a string does not end.\n"},
        {"redirect [\"a\", 3];", "line 1: a list of strings holds something else.\n"},
        {"redirect [\"a\" \"b\"];", "line 1: a comma or ] is missing in a list of strings.\n"},
        {"if anyof (true true) {}", "line 1: true takes no test (is a semicolon missing?).\n"},
        {"if anyof (true; true) {}", "line 1: a comma or ) is missing in a list of tests.\n"},
        {"if not 5 {}", "line 1: not takes 0 arguments, not 1.\nline 1: not needs one test.\n"},
        {"/* never", "line 1: a comment does not end.\n"},
        {"if size :over 1X {}", "line 1: a number is followed by a letter that is not K, M or G.\n"},
        {"if size :over 99999999999999999999 {}", "line 1: a number is too large.\n"},
        {"if size :over 18446744073709551615G {}", "line 1: a number is too large.\n"},
        {"keep;\n\n%", "line 3: a character that belongs to nothing.\n"},
        {"redirect text:\nabc\n..\n", "line 1: a text: block does not end with a line that is a dot.\n"},
        {"redirect text: abc\n.\n;", "line 1: text: must end its line.\n"},
        {"5;", "line 1: a command is missing.\n"},
        {"redirect \"a\xff@b\";", "line 1: a string is not UTF-8.\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_errors(rows[i].script, rows[i].errors);
}

static void test_meaning(void)
{
    static const struct {
        const char *script, *errors;
    } rows[] = {
        {"frobnicate;", "line 1: unknown command \"frobnicate\".\n"},
        {"if frobs {}", "line 1: unknown test \"frobs\".\n"},
        {"require \"frobs\";", "line 1: unknown extension \"frobs\".\n"},
        {"keep;\nrequire \"fileinto\";", "line 2: require stands behind other commands.\n"},
        {"fileinto \"a\";\nif envelope \"from\" \"a\" {}",
         "line 1: fileinto needs require \"fileinto\".\nline 2: envelope needs require \"envelope\".\n"},
        {"require \"fileinto\"; fileinto :copy \"a\";", "line 1: :copy needs require \"copy\".\n"},
        {"keep :loud;", "line 1: keep knows no :loud.\n"},
        {"keep \"a\";", "line 1: keep takes 0 arguments, not 1.\n"},
        {"redirect;", "line 1: redirect takes 1 argument, not 0.\n"},
        {"redirect 5;", "line 1: argument 1 of redirect must be a string.\n"},
        {"redirect [\"a@b\", \"c@d\"];", "line 1: argument 1 of redirect must be a string.\n"},
        {"redirect \"nobody\";", "line 1: \"nobody\" is no mail address.\n"},
        {"redirect \"a@b, c@d\";", "line 1: \"a@b, c@d\" is no mail address.\n"},
        {"redirect \"a@b\r\nBcc: c@d\";", "line 1: \"a@b\r\nBcc: c@d\" is no mail address.\n"},
        {"if header :is :contains \"a\" \"b\" {}",
         "line 1: :contains is given a second time, or beside another of its kind.\n"},
        {"if header \"a\" :is \"b\" {}", "line 1: :is stands behind other arguments.\n"},
        {"if header :comparator \"a\" {}", "line 1: header takes 2 arguments, not 0.\n"},
        {"if header :comparator \"i;frob\" \"a\" \"b\" {}", "line 1: unknown comparator \"i;frob\".\n"},
        {"if header :comparator \"i;ascii-numeric\" \"a\" \"b\" {}",
         "line 1: the comparator needs require \"comparator-i;ascii-numeric\".\n"},
        {"require \"comparator-i;ascii-numeric\"; if header :contains :comparator \"i;ascii-numeric\" \"a\" "
         "\"b\" {}",
         "line 1: i;ascii-numeric cannot be used with :contains, :matches or :regex.\n"},
        {"if header \"a:\" \"b\" {}", "line 1: \"a:\" is no name of a header field.\n"},
        {"if address \"subject\" \"b\" {}", "line 1: \"subject\" is no header field that holds addresses.\n"},
        {"require \"envelope\"; if envelope \"frob\" \"b\" {}",
         "line 1: \"frob\" is no part of the envelope.\n"},
        {"if size 5 {}", "line 1: size needs :over or :under.\n"},
        {"if true;", "line 1: if needs a block.\n"},
        {"if {}", "line 1: if needs one test.\n"},
        {"keep {}", "line 1: keep takes no block.\n"},
        {"if anyof true {}", "line 1: anyof needs a list of tests in parentheses.\n"},
        {"stop true;", "line 1: stop takes no test (is a semicolon missing?).\n"},
        {"else {}", "line 1: else stands behind no if.\n"},
        {"if true {}\nkeep;\nelsif true {}", "line 3: elsif stands behind no if.\n"},
        {"require \"relational\"; if header :count \"xx\" \"a\" \"1\" {}",
         "line 1: a relation must be one of gt, ge, lt, le, eq, ne.\n"},
        {"require \"regex\"; if header :regex \"a\" \"(\" {}",
         "line 1: \"(\" is no regular expression: missing closing parenthesis.\n"},
        {"require \"variables\"; set \"1a\" \"b\";", "line 1: \"1a\" is no name of a variable.\n"},
        {"require \"variables\"; set \"global.a\" \"b\";",
         "line 1: the variables of global. need require \"include\".\n"},
        {"require \"variables\"; set :upper :lower \"a\" \"b\";",
         "line 1: :lower is given a second time, or beside another of its kind.\n"},
        {"require [\"variables\", \"fileinto\"]; set \"${a}\" \"b\";",
         "line 1: \"${a}\" must be constant.\n"},
        {"require \"include\"; include \"../passwd\";", "line 1: \"../passwd\" is no name of a script.\n"},
        {"require \"date\"; if currentdate :zone \"5\" \"year\" \"2026\" {}",
         "line 1: a zone is written +hhmm or -hhmm.\n"},
        {"require \"date\"; if date \"date\" \"century\" \"20\" {}",
         "line 1: \"century\" is no part of a date.\n"},
        {"require \"index\"; if header :last \"a\" \"b\" {}", "line 1: :last needs :index.\n"},
        {"require \"imap4flags\"; addflag \"a\" \"b\";",
         "line 1: a variable's name needs require \"variables\".\n"},
        {"require \"enotify\"; notify \"xmpp:a@b\";",
         "line 1: \"xmpp:a@b\" is no notification method that is known here: mailto: is.\n"},
        {"require \"enotify\"; notify \"mailto:nobody\";",
         "line 1: \"mailto:nobody\" is no valid mailto: URI.\n"},
        {"require \"vacation\"; vacation :from \"me\" \"away\";", "line 1: \"me\" is no mail address.\n"},
        {"require [\"vacation\", \"mailbox\"]; vacation :create \"away\";",
         "line 1: vacation takes arguments of a mailbox only with :fcc.\n"},
        {"require \"encoded-character\"; redirect \"${unicode:d800}@b\";",
         "line 1: ${unicode:} names no character of Unicode.\n"},
        {"require \"encoded-character\"; redirect \"a${hex:00}@b\";",
         "line 1: an encoded character is a NUL.\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_errors(rows[i].script, rows[i].errors);
}

/* What the extensions that ask the host take, and the lines of what they do not. */
static void test_questions(void)
{
    static const struct {
        const char *script, *errors;
    } rows[] = {
        {"keep;\nif header :list \"a\" \"b\" {}", "line 2: :list needs require \"extlists\".\n"},
        {"require \"extlists\";\n\nif header :list :is \"a\" \"b\" {}",
         "line 3: :is is given a second time, or beside another of its kind.\n"},
        {"require \"extlists\";\nif valid_ext_list {}", "line 2: valid_ext_list takes 1 argument, not 0.\n"},
        {"if valid_ext_list \"a\" {}", "line 1: valid_ext_list needs require \"extlists\".\n"},
        {"\nredirect :list \"tag:a\";", "line 2: :list needs require \"extlists\".\n"},
        {"require \"extlists\";\nredirect :list [\"tag:a\", \"tag:b\"];",
         "line 2: argument 1 of redirect must be a string.\n"},
        {"\nif metadata \"a\" \"/private/b\" \"c\" {}", "line 2: metadata needs require \"mboxmetadata\".\n"},
        {"require \"mboxmetadata\";\nif metadata \"a\" \"/private/b\" {}",
         "line 2: metadata takes 3 arguments, not 2.\n"},
        {"require \"mboxmetadata\";\nif metadataexists \"a\" 5 {}",
         "line 2: argument 2 of metadataexists must be a list of strings.\n"},
        {"require \"mboxmetadata\";\nif servermetadata \"/private/b\" \"c\" {}",
         "line 2: servermetadata needs require \"servermetadata\".\n"},
        {"require \"servermetadata\";\nif servermetadataexists \"a\" \"b\" {}",
         "line 2: servermetadataexists takes 1 argument, not 2.\n"},
        {"require \"spamtest\";\nif spamtest :percent \"1\" {}",
         "line 2: :percent needs require \"spamtestplus\".\n"},
        {"require \"spamtest\";\n\nif spamtest [\"1\", \"2\"] {}",
         "line 3: argument 1 of spamtest must be a string.\n"},
        {"if virustest \"1\" {}", "line 1: virustest needs require \"virustest\".\n"},
        {"require \"virustest\";\nif virustest :percent \"1\" {}", "line 2: virustest knows no :percent.\n"},
        {"require \"virustest\";\nif virustest :count \"ge\" \"1\" {}",
         "line 2: :count needs require \"relational\".\nline 2: virustest takes 1 argument, not 2.\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_errors(rows[i].script, rows[i].errors);
}

/* Any prefix of a script compiles or is told an error, byte by byte. */
static void test_truncated(void)
{
    static const char text[] =
        "require [\"fileinto\", \"variables\"];\n/* a */ if anyof (header :matches \"a\" "
        "\"*${x}\", not size :over 5K)\n{ fileinto text:\nabc\n..d\n.\n; } else { stop; } # e\n";

    for (size_t n = 0; n < sizeof(text); n++) {
        struct buf errors = BUF_INIT;
        struct sieve_script *script;
        int r = sieve_compile(text, n, &errors, &script);

        CU_ASSERT(r == 0 ? errors.len == 0 && script != NULL
                         : r == ERR_SYNTAX && errors.len > 0 && script == NULL);
        sieve_script_free(&script);
        buf_free(&errors);
    }
}

static void test_extensions(void)
{
    struct sieve_script *script;
    struct buf errors = BUF_INIT;

    CU_ASSERT_PTR_NOT_NULL(strstr(sieve_extensions(), "fileinto "));
    CU_ASSERT_PTR_NOT_NULL(strstr(sieve_extensions(), "comparator-i;ascii-numeric "));
    CU_ASSERT_TRUE(sieve_extension_is_known("vacation", 8));
    CU_ASSERT_FALSE(sieve_extension_is_known("vacatio", 7));
    CU_ASSERT_EQUAL(sieve_compile("require \"copy\";", 15, &errors, &script), 0);
    CU_ASSERT_TRUE(sieve_script_requires(script, "copy"));
    CU_ASSERT_FALSE(sieve_script_requires(script, "fileinto"));
    sieve_script_free(&script);
    buf_free(&errors);
}

static const struct unit_case cases[] = {
    {"good scripts", test_good},
    {"syntax", test_syntax},
    {"meaning", test_meaning},
    {"questions to the host", test_questions},
    {"cut off", test_truncated},
    {"extensions", test_extensions},
    {NULL, NULL},
};

const struct unit_suite sieve_compile_suite = {"compile", cases};
