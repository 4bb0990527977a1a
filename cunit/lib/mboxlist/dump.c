#include "lib/mboxlist/dump.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static const char golden[] = "{\n"
                             "\"user.fred\": {\n"
                             " \"name\": \"user.fred\",\n"
                             " \"mtime\": \"11\",\n"
                             " \"uidvalidity\": \"7\",\n"
                             " \"createdmodseq\": \"9\",\n"
                             " \"foldermodseq\": \"10\",\n"
                             " \"mbtype\": \"e\",\n"
                             " \"partition\": \"default\",\n"
                             " \"acl\": {\n"
                             "  \"fred\": \"lrswip\",\n"
                             "  \"-bob\": \"w\"\n"
                             " },\n"
                             " \"uniqueid\": \"abc123456\",\n"
                             " \"name_history\": [],\n"
                             " \"special_use\": {\n"
                             "  \"fred\": \"\\\\Sent\"\n"
                             " }\n"
                             "},\n"
                             "\"user.x\": {\n"
                             " \"name\": \"user.x\",\n"
                             " \"mtime\": \"12\",\n"
                             " \"uidvalidity\": \"0\",\n"
                             " \"createdmodseq\": \"0\",\n"
                             " \"foldermodseq\": \"0\",\n"
                             " \"mbtype\": \"r\",\n"
                             " \"partition\": \"p2\",\n"
                             " \"server\": \"be2.lab\",\n"
                             " \"acl\": {},\n"
                             " \"uniqueid\": \"\",\n"
                             " \"name_history\": []\n"
                             "}\n"
                             "}\n";

static char *dump(struct fixture *f, const char *prefix, const char *partition)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    CU_ASSERT_EQUAL(mboxlist_dump(f->list, prefix, partition, to), 0);
    fclose(to);
    return text;
}

static int undump(struct fixture *f, const char *text, uint64_t *count_r)
{
    FILE *from = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    char *error = NULL;
    int r = mboxlist_undump(f->list, from, count_r, &error);

    CU_ASSERT((r < 0) == (error != NULL));
    free(error);
    fclose(from);
    return r;
}

static void test_round_trip(void)
{
    struct fixture f;
    uint64_t count;
    char *text;

    fixture_open(&f);
    CU_ASSERT_EQUAL(undump(&f, golden, &count), 0);
    CU_ASSERT_EQUAL(count, 2);
    text = dump(&f, NULL, NULL);
    CU_ASSERT_STRING_EQUAL(text, golden);
    free(text);
    text = dump(&f, "user.y", NULL);
    CU_ASSERT_STRING_EQUAL(text, "{\n}\n");
    free(text);
    text = dump(&f, NULL, "p2");
    CU_ASSERT(strstr(text, "user.x") != NULL && strstr(text, "user.fred") == NULL);
    free(text);
    fixture_close(&f);
}

static void test_input(void)
{
    static const struct {
        const char *text;
        int r;
        uint64_t count;
    } rows[] = {
        {"{}", 0, 0},
        {" { } ", 0, 0},
        {"{\"a\": {\"acl\": {}, \"mtime\": 5}}", 0, 1},
        {"{\"a\": {}, \"b\": {\"mbtype\": \"d\"}}", 0, 1},
        {"", ERR_SYNTAX, 0},
        {"[]", ERR_SYNTAX, 0},
        {"{\"a\"}", ERR_SYNTAX, 0},
        {"{\"a\": 1}", ERR_SYNTAX, 0},
        {"{\"a\": {}", ERR_SYNTAX, 1},
        {"{\"a\": {} \"b\": {}}", ERR_SYNTAX, 1},
        {"{\"a\": {\"x\": }}", ERR_SYNTAX, 0},
        {"{\"a..b\": {}}", ERR_BADNAME, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture f;
        uint64_t count;

        fixture_open(&f);
        CU_ASSERT_EQUAL(undump(&f, rows[i].text, &count), rows[i].r);
        CU_ASSERT_EQUAL(count, rows[i].count);
        CU_ASSERT_EQUAL(fixture_type(&f, "a"), rows[i].count > 0 ? MBOXLIST_LOCAL : 0);
        fixture_close(&f);
    }
}

static const struct unit_case cases[] = {
    {"round trip, golden", test_round_trip}, {"input", test_input}, {NULL, NULL}};

extern const struct unit_suite dump_suite;
const struct unit_suite dump_suite = {"dump", cases};
