#include "imap/store/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_values(void)
{
    static const struct {
        enum metadata_kind kind;
        const char *good, *bad; /* separated by | */
    } rows[] = {
        {METADATA_TEXT, "|a|a b", NULL},
        {METADATA_URI, "mailto:a@example.org|tel:+1-2|x-y.z+1:1", "|a|:|a:|1a:b|a b:c|mailto:a b|\xc3\xa9:a"},
        {METADATA_BOOLEAN, "true|FALSE|0|1", "|yes|2|truex|true "},
        {METADATA_SHAREDSEEN, "true|false", "|maybe"},
        {METADATA_DUPDELIVER, "true|false", "|maybe"},
        {METADATA_INT, "0|-1|42", "|-|1.5|+1|9999999999999999999999"},
        {METADATA_UINT, "0|42", "|-1|1x"},
        {METADATA_DATE, " 1-Jan-2026 00:00:00 +0000|22-Nov-2026 12:31:11 -0800", "|2026-01-01|1-Jan-2026"},
        {METADATA_DAYS, "0|30|12h|1d12h", "|-1|x|3x|d"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int bad = 0; bad < 2; bad++) {
            const char *s = bad ? rows[i].bad : rows[i].good;

            for (; s != NULL; s = strchr(s, '|') != NULL ? strchr(s, '|') + 1 : NULL) {
                char *value = xstrndup(s, strcspn(s, "|"));

                CU_ASSERT_EQUAL(metadata_check(rows[i].kind, value, strlen(value)), bad ? ERR_INVALID : 0);
                free(value);
            }
        }
    }
    CU_ASSERT_EQUAL(metadata_check(METADATA_DAYS, "3\0d", 3), ERR_INVALID);
    CU_ASSERT_TRUE(metadata_is_true("True", 4));
    CU_ASSERT_FALSE(metadata_is_true("false", 5));
}

/* The table: each entry is found where it is, and only there; names are in lower case, no row is hidden by another. */
static void test_table(void)
{
    const struct metadata_def *def;
    size_t n;

    for (n = 0; (def = metadata_def(n)) != NULL; n++) {
        for (const char *p = def->name; *p != '\0'; p++)
            CU_ASSERT_FALSE(*p >= 'A' && *p <= 'Z');
        CU_ASSERT_TRUE(def->where != 0 && def->scopes != 0);
        for (unsigned where = OF_SERVER; where <= OF_MAILBOX; where *= 2)
            for (unsigned scope = SHARED; scope <= PRIVATE; scope *= 2)
                CU_ASSERT_PTR_EQUAL(metadata_find(def->name, where, scope),
                                    (def->where & where) && (def->scopes & scope) ? def : NULL);
    }
    CU_ASSERT_TRUE(n > 5);
    CU_ASSERT_PTR_NULL(metadata_find("/commen", OF_MAILBOX, SHARED));
}

static void test_definitions(void)
{
    static const char good[] =
        "# ours\n"
        "/vendor/acme/Blurdy,mailbox,string,backend,value.shared value.priv,\n"
        "\n"
        "  /vendor/acme/on , server , boolean , proxy_and_backend , value.shared , a \r\n"
        "/vendor/acme/n,mailbox,uint,proxy,value\n"
        "/vendor/acme/m,message,int,backend,value,";
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        {"x", 1},
        {"\n/a,mailbox,string,backend", 2},
        {"a,mailbox,string,backend,value,", 1},
        {"/a,box,string,backend,value,", 1},
        {"/a,mailbox,text,backend,value,", 1},
        {"/a,mailbox,string,frontend,value,", 1},
        {"/a,mailbox,string,backend,size,", 1},
        {"/a,mailbox,string,backend,value,!", 1},
        {"/a,mailbox,string,backend,value,a,b", 1},
    };
    const struct metadata_def *def;
    unsigned line;

    CU_ASSERT_EQUAL(metadata_define(good, &line), 0);
    def = metadata_find("/vendor/acme/blurdy", OF_MAILBOX, PRIVATE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_TEXT);
    CU_ASSERT_EQUAL(def->needs, 0);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/blurdy", OF_SERVER, SHARED));
    def = metadata_find("/vendor/acme/on", OF_SERVER, SHARED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_BOOLEAN);
    CU_ASSERT_EQUAL(def->needs, ACL_ADMIN);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/on", OF_SERVER, PRIVATE));
    def = metadata_find("/vendor/acme/n", OF_MAILBOX, SHARED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_UINT);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/m", OF_MAILBOX, SHARED));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CU_ASSERT_EQUAL(metadata_define(bad[i].text, &line), ERR_SYNTAX);
        CU_ASSERT_EQUAL(line, bad[i].line);
    }
    CU_ASSERT_EQUAL(metadata_define("", &line), 0);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/on", OF_SERVER, SHARED));
}

static const struct unit_case cases[] = {

    {"values", test_values},
    {"table", test_table},
    {"definitions", test_definitions},
    {NULL, NULL},
};

extern const struct unit_suite metadata_suite;
const struct unit_suite metadata_suite = {"metadata", cases};
