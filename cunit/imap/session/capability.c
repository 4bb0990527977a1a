#include "imap/session/capability.h"

#include <string.h>

#include "cunit/unit.h"
#include "imap/session/command.h"
#include "lib/base/mem.h"

static bool has_none(void *context, const char *name)
{
    (void)context;
    (void)name;
    return false;
}

static bool has_all(void *context, const char *name)
{
    (void)context;
    (void)name;
    return true;
}

/* UIDPLUS is what the words UID and EXPUNGE show to be needed. */
static void test_words(void)
{
    static const struct {
        const char *name, *args;
        bool uid, needs;
    } rows[] = {
        {"EXPUNGE", "1:*", true, true},
        {"EXPUNGE", "", false, false},
        {"FETCH", "1:* (UID)", true, false},
        {"SEARCH", "UID 1 EXPUNGE", false, true},
        {"SEARCH", "uid (expunge)", false, true},
        {"SEARCH", "UID[EXPUNGE]", false, true},
        {"SEARCH", "UIDS EXPUNGE", false, false},
        {"SEARCH", "UID EXPUNGED", false, false},
        {"SEARCH", "UID \"EXPUNGE\"", false, false},
        {"SEARCH", "UID \"a \\\" EXPUNGE\"", false, false},
        {"SEARCH", "UID \"a\\\\\" EXPUNGE", false, true},
        {"SEARCH", "UID \"EXPUNGE", false, false},
        {"SEARCH", "UID {7}\r\nEXPUNGE", false, false},
        {"SEARCH", "UID {7+}\r\nEXPUNGE", false, false},
        {"SEARCH", "UID {1}\r\nx EXPUNGE", false, true},
        {"SEARCH", "UID {99}\r\nEXPUNGE", false, false},
        {"SEARCH", "{99999999999999999999}\r\nUID EXPUNGE", false, false},
        {"SEARCH", "{", false, false},
        {"SEARCH", "\"\\", false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct command cmd = {.def = command_find(rows[i].name, strlen(rows[i].name)),
                              .uid = rows[i].uid,
                              .args = rows[i].args,
                              .args_len = strlen(rows[i].args)};
        const char *lacking = capability_lacking(&cmd, has_none, NULL);

        CU_ASSERT_EQUAL(lacking != NULL, rows[i].needs);
        CU_ASSERT(lacking == NULL || strcmp(lacking, "UIDPLUS") == 0);
        CU_ASSERT_PTR_NULL(capability_lacking(&cmd, has_all, NULL));
    }
}

/* A command whose capability a server must have is in both tables. */
static void test_needs_server(void)
{
    CU_ASSERT(capability_needs_server("QUOTA") && capability_needs_server("UIDPLUS"));
    CU_ASSERT(!capability_needs_server("MOVE") && !capability_needs_server("X"));
}

static const struct unit_case cases[] = {
    {"words", test_words}, {"needs_server", test_needs_server}, {NULL, NULL}};

extern const struct unit_suite capability_suite;
const struct unit_suite capability_suite = {"capability", cases};
