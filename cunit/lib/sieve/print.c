/* What a compiled script looks like as text. */
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"
#include "lib/sieve/sieve.h"

static void print(const char *text, size_t n, struct buf *to)
{
    struct buf errors = BUF_INIT;
    struct sieve_script *script;

    CU_ASSERT_EQUAL(sieve_compile(text, n, &errors, &script), 0);
    CU_ASSERT_STRING_EQUAL_FATAL(buf_cstr(&errors), "");
    sieve_script_print(script, to);
    sieve_script_free(&script);
    buf_free(&errors);
}

#define REQUIRE(names) "require [" names "];\n"

static const struct {
    const char *script, *printed;
} rows[] = {
    {"", ""},
    {"# nothing\nKEEP /* at all */ ;stop;", "keep;\nstop;\n"},
    {"if header \"a\" text:\n..b\n.\n{}", "if header \"a\" \".b\r\n\" {\n}\n"},
    {"if not header :IS :comparator \"i;octet\" [\"a\"] [\"b\",\"c\\\"\\\\\"]{discard;}else{}",
     "if not header :IS :comparator \"i;octet\" \"a\" [\"b\", \"c\\\"\\\\\"] {\n    discard;\n}\nelse "
     "{\n}\n"},
    {"if allof(true,anyof (size:over 2K,false)){if true{keep;}}",
     "if allof (true, anyof (size :over 2048, false)) {\n    if true {\n        keep;\n    }\n}\n"},
    {"require \"encoded-character\";redirect \"${hex:61 40}b.example\";",
     "require \"encoded-character\";\nredirect \"a@b.example\";\n"},
    {REQUIRE("\"vacation\"") "vacation :days 7 :addresses [\"a@b.example\", \"c@d.example\"] \"away\";",
     "require \"vacation\";\nvacation :days 7 :addresses [\"a@b.example\", \"c@d.example\"] \"away\";\n"},
    {REQUIRE("\"variables\", \"fileinto\"") "set :upper :quotewildcard \"a\" \"b\"; fileinto \"${a}\";",
     "require [\"variables\", \"fileinto\"];\nset :upper :quotewildcard \"a\" \"b\";\nfileinto \"${a}\";\n"},
};

static void test_printed(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf once = BUF_INIT, twice = BUF_INIT;

        print(rows[i].script, strlen(rows[i].script), &once);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&once), rows[i].printed);
        print(buf_cstr(&once), once.len, &twice); /* it compiles, to the same */
        CU_ASSERT_STRING_EQUAL(buf_cstr(&twice), buf_cstr(&once));
        buf_free(&once);
        buf_free(&twice);
    }
}

static const struct unit_case cases[] = {
    {"printed", test_printed},
    {NULL, NULL},
};

extern const struct unit_suite sieve_print_suite;
const struct unit_suite sieve_print_suite = {"print", cases};
