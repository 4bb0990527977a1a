/* Match types, comparators, and what is matched: headers, addresses, envelope. */
#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

struct row {
    const char *test;
    bool want;
};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play_test(rows[i].test, NULL, rows[i].want);
}

static void test_types(void)
{
    static const struct row rows[] = {
        {"header :is \"subject\" \"i have a pr\xc3\xa9sent for YOU\"", true},
        {"header \"subject\" \"I have\"", false},
        {"header :contains \"subject\" \"PR\xc3\xa9SENT\"", true},
        {"header :contains \"subject\" \"\"", true},
        {"header :contains \"x-missing\" \"\"", false},
        {"header :is \"x-empty\" \"\"", true},
        {"header :contains [\"x-missing\", \"subject\"] [\"nothing\", \"have\"]", true},
        {"header :matches \"subject\" \"I*a*you\"", true},
        {"header :matches \"subject\" \"I*a*yo\"", false},
        {"header :matches \"subject\" \"*pr?sent*\"", true},
        {"header :matches :comparator \"i;octet\" \"subject\" \"*pr?sent*\"", false},
        {"header :matches :comparator \"i;octet\" \"subject\" \"*pr??sent*\"", true},
        {"header :matches \"subject\" \"*\\\\?*\"", false},
        {"header :matches \"x-empty\" \"\"", true},
        {"header :matches \"x-empty\" \"*\"", true},
        {"header :matches \"x-empty\" \"?\"", false},
        {"header :is :comparator \"i;octet\" \"subject\" \"i have a pr\xc3\xa9sent for you\"", false},
        {"header :contains \"subject\" \"PR\xc3\x89SENT\"", false},
        {"header :contains :comparator \"i;unicode-casemap\" \"subject\" \"PR\xc3\x89SENT\"", true},
        {"header :matches :comparator \"i;unicode-casemap\" \"subject\" \"*PR\xc3\x89SENT*\"", true},
        {"header :regex \"subject\" \"^i have .* (you|me)$\"", true},
        {"header :regex :comparator \"i;octet\" \"subject\" \"^i have\"", false},
        {"header :comparator \"i;ascii-numeric\" \"x-count\" \"7\"", true},
        {"header :comparator \"i;ascii-numeric\" \"x-count\" \"8\"", false},
        {"header :comparator \"i;ascii-numeric\" \"subject\" \"none is a number\"", true},
        {"header :value \"gt\" :comparator \"i;ascii-numeric\" \"x-count\" \"6\"", true},
        {"header :value \"gt\" :comparator \"i;ascii-numeric\" \"x-count\" \"10\"", false},
        {"header :value \"lt\" :comparator \"i;ascii-numeric\" \"x-count\" \"100000000000000000000\"", true},
        {"header :value \"le\" :comparator \"i;ascii-numeric\" \"x-count\" \"word\"", true},
        {"header :value \"ne\" \"x-count\" \"007\"", false},
        {"header :value \"lt\" \"x-count\" \"008\"", true},
        {"header :count \"eq\" :comparator \"i;ascii-numeric\" \"received\" \"2\"", true},
        {"header :count \"ge\" :comparator \"i;ascii-numeric\" [\"received\", \"x-empty\"] \"3\"", true},
        {"header :count \"eq\" :comparator \"i;ascii-numeric\" \"x-missing\" \"0\"", true},
        {"header :index 1 :contains \"received\" \"a.example by b.example\"", true},
        {"header :index 1 :last :contains \"received\" \"x.example\"", true},
        {"header :index 2 :last :contains \"received\" \"x.example\"", false},
        {"header :index 3 :contains \"received\" \"\"", false},
        {"header :index 0 :contains \"received\" \"\"", false},
        {"header :index 3 :contains [\"received\", \"x-count\"] \"7\"", true},
        {"header :list \"return-path\" \":addrbook:default\"", false},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_addresses(void)
{
    static const struct row rows[] = {
        {"address :is \"from\" \"COYOTE@desert.example.org\"", true},
        {"address :is :all \"from\" \"coyote@desert.example.org\"", true},
        {"address :localpart \"from\" \"coyote\"", true},
        {"address :domain \"from\" \"desert.example.org\"", true},
        {"address :contains \"from\" \"Wile\"", false},
        {"address :is \"to\" \"bugs@acme.example.com\"", true},
        {"address :user \"to\" \"roadrunner\"", true},
        {"address :detail \"to\" \"fast\"", true},
        {"address :detail \"from\" \"\"", false},
        {"address :is \"cc\" \"c@d.example\"", true},
        {"address :count \"eq\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] \"4\"", true},
        {"address :list \"from\" \":addrbook:default\"", true},
        {"address :list \"to\" \":addrbook:default\"", false},
        {"envelope \"from\" \"coyote@desert.example.org\"", true},
        {"envelope :detail \"to\" \"fast\"", true},
        {"envelope :matches [\"from\", \"to\"] \"road*\"", true},
        {"envelope \"auth\" \"\"", false},
        {"exists [\"from\", \"x-empty\"]", true},
        {"exists [\"from\", \"x-missing\"]", false},
        {"size :over 100", true},
        {"size :under 100", false},
        {"size :over 1M", false},
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_null_sender(void)
{
    struct play p = {.script =
                         "require [\"envelope\", \"variables\"]; if allof (envelope \"from\" \"\", envelope "
                         ":localpart \"from\" \"\", not envelope :is \"to\" \"\") { discard; }",
                     .from = ""};

    play_expect(&p, "");
}

/* RFC 5229 3.2 and its examples; wildcards take as little as possible. */
static void test_variables_of_matches(void)
{
    static const struct {
        const char *test, *name;
    } rows[] = {
        {"header :matches \"x\" \"[*] *\"", "acme-users|[fwd] version 1.0 is out|"},
        {"header :matches \"x\" \"*a*\"", "[|cme-users] [fwd] version 1.0 is out|"},
        {"header :matches \"x\" \"*\"", "[acme-users] [fwd] version 1.0 is out||"},
        {"header :matches \"x\" \"?*?\"", "[|acme-users] [fwd] version 1.0 is ou|t"},
        {"header :matches \"x\" \"**out\"", "|[acme-users] [fwd] version 1.0 is |"},
        {"header :matches \"x\" \"*1*0*\"", "[acme-users] [fwd] version |.| is out"},
        {"header :regex \"x\" \"([a-z]+)-([a-z]+)\"", "acme|users|"},
        {"not header :matches \"x\" \"nothing*\"", "||"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf script = BUF_INIT, want = BUF_INIT;
        struct play p = {.message = "X: [acme-users] [fwd] version 1.0 is out\n\n"};

        buf_printf(&script, "%s if %s { fileinto \"${1}|${2}|${3}\"; }", play_requires, rows[i].test);
        buf_printf(&want, "fileinto:%s", rows[i].name);
        p.script = buf_cstr(&script);
        play_expect(&p, buf_cstr(&want));
        buf_free(&script);
        buf_free(&want);
    }
}

static const struct unit_case cases[] = {
    {"types and comparators", test_types},
    {"addresses and envelope", test_addresses},
    {"null sender", test_null_sender},
    {"match variables", test_variables_of_matches},
    {NULL, NULL},
};

const struct unit_suite sieve_match_suite = {"match", cases};
