#include "mupdate/takeover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char dir[64];

static void make_dir(void)
{
    snprintf(dir, sizeof(dir), "/tmp/iatlas-takeover.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
}

static void make(const char *name)
{
    char *path = xstrprintf("%s/%s", dir, name);
    FILE *file;

    if (strchr(name, '.') == NULL || strcmp(name, "mupdate.group") == 0) {
        CU_ASSERT_EQUAL_FATAL(file_make_dirs(path, 0700, 1), 0);
    } else {
        file = fopen(path, "w");
        CU_ASSERT_FATAL(file != NULL);
        fclose(file);
    }
    free(path);
}

static bool is_there(const char *name)
{
    char *path = xstrprintf("%s/%s", dir, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

/* A list of these: 'l' a lone master's, 'g' a group's database, 'm' that of one who takes part. */
static void make_lists(const char *which)
{
    make_dir();
    if (strchr(which, 'l') != NULL) {
        make("mupdate");
        make("mupdate/meta.db");
    }
    if (strchr(which, 'g') != NULL) {
        make("mupdate.group");
        make("mupdate.group/meta.db");
        make("mupdate.group/stray.db");
    }
    if (strchr(which, 'm') != NULL)
        CU_ASSERT_EQUAL(takeover_note_members(dir, 1), 0);
}

static void test_check(void)
{
    static const struct {
        const char *lists;
        int lone, group;
    } rows[] = {
        {"", 0, 0},  {"l", 0, ERR_CONFIG},  {"g", 0, 0},   {"gm", ERR_CONFIG, 0},
        {"m", 0, 0}, {"lg", 0, ERR_CONFIG}, {"lgm", 0, 0}, {"lm", 0, ERR_CONFIG},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned group = 0; group < 2; group++) {
            int wanted = group ? rows[i].group : rows[i].lone;
            char *error;

            make_lists(rows[i].lists);
            CU_ASSERT_EQUAL(takeover_check(dir, group, &error), wanted);
            CU_ASSERT_EQUAL(error != NULL, wanted < 0);
            free(error);
            file_remove_tree(dir);
        }
}

static void test_by_group(void)
{
    static const struct {
        const char *lists;
        int result;
    } rows[] = {{"", ERR_NOTFOUND}, {"gm", ERR_NOTFOUND}, {"lgm", ERR_EXISTS}, {"l", 0}, {"lg", 0},
                {"lm", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *error;

        make_lists(rows[i].lists);
        CU_ASSERT_EQUAL(takeover_by_group(dir, &error), rows[i].result);
        CU_ASSERT_EQUAL(error != NULL, rows[i].result < 0);
        free(error);
        if (rows[i].result == 0) {
            CU_ASSERT(is_there("mupdate.group/meta.db") && !is_there("mupdate"));
            CU_ASSERT(is_there("mupdate.group/owner") && !is_there("mupdate.group/stray.db"));
            CU_ASSERT_EQUAL(takeover_check(dir, true, &error), 0);
            CU_ASSERT_EQUAL(takeover_check(dir, false, &error), ERR_CONFIG);
            free(error);
            CU_ASSERT_EQUAL(takeover_by_one(dir, false, &error), 0); /* it is a group of one */
            CU_ASSERT(is_there("mupdate/meta.db") && !is_there("mupdate.group"));
        }
        file_remove_tree(dir);
    }
}

static void test_by_one(void)
{
    static const struct {
        const char *lists;
        unsigned members;
        bool forced;
        int result;
    } rows[] = {
        {"", 0, true, ERR_NOTFOUND}, {"g", 0, true, ERR_NOTFOUND},   {"lgm", 1, true, ERR_EXISTS},
        {"gm", 1, false, 0},         {"gm", 3, false, ERR_CONFLICT}, {"gm", 3, true, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *error;

        make_lists(rows[i].lists);
        if (rows[i].members > 0)
            CU_ASSERT_EQUAL(takeover_note_members(dir, rows[i].members), 0);
        CU_ASSERT_EQUAL(takeover_by_one(dir, rows[i].forced, &error), rows[i].result);
        CU_ASSERT_EQUAL(error != NULL, rows[i].result < 0);
        free(error);
        if (rows[i].result == 0) {
            CU_ASSERT(is_there("mupdate/meta.db") && is_there("mupdate/stray.db"));
            CU_ASSERT(!is_there("mupdate.group") && !is_there("mupdate.group.members"));
        }
        file_remove_tree(dir);
    }
}

static const struct unit_case cases[] = {
    {"check", test_check}, {"by group", test_by_group}, {"by one", test_by_one}, {NULL, NULL}};

extern const struct unit_suite takeover_suite;
const struct unit_suite takeover_suite = {"takeover", cases};
