#include "imap/session/client.h"
#include "imap/session/command.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_find(void)
{
    static const struct {
        const char *name;
        int id; /* -1: none */
    } rows[] = {{"NOOP", COMMAND_NOOP},
                {"noop", COMMAND_NOOP},
                {"Fetch", COMMAND_FETCH},
                {"NOO", -1},
                {"NOOPS", -1},
                {"", -1},
                {"UID", -1},
                {"X", -1}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct command_def *def = command_find(rows[i].name, strlen(rows[i].name));

        CU_ASSERT_EQUAL(def != NULL ? (int)def->id : -1, rows[i].id);
    }
}

static const char *const names[] = {
#define COMMAND(id, name, start, states, capability, route, flags) name,
#include "imap/session/commands.def"
#undef COMMAND
};

/* Sorted, each found under its own name; what only a leg starts has no function here and the other way round. */
static void test_rows(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct command_def *def = command_find(names[i], strlen(names[i]));
        bool leg_starts, login_starts;

        CU_ASSERT_PTR_NOT_NULL_FATAL(def);
        CU_ASSERT_EQUAL((size_t)def->id, i);
        CU_ASSERT(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        leg_starts = def->route == ROUTE_SELECTED || def->route == ROUTE_HERE;
        login_starts = def->route == ROUTE_LOGIN;
        if (def->route != ROUTE_MAILBOX) /* there session may work over the leg's primitives */
            CU_ASSERT_EQUAL(def->start == NULL, leg_starts || login_starts);
        CU_ASSERT(def->route != ROUTE_SELECTED || def->states == 1u << CLIENT_SELECTED);
        CU_ASSERT(!login_starts || def->states == 1u << CLIENT_NOAUTH);
        /* who a peer is, is known only after authentication; what is done here alone is no client's to do */
        CU_ASSERT((def->flags & CMD_PEER) == 0 || (def->states & 1u << CLIENT_NOAUTH) == 0);
        CU_ASSERT((def->flags & CMD_ITSELF) == 0 || (def->flags & CMD_PEER) != 0);
        CU_ASSERT(def->route != ROUTE_HERE || (def->flags & CMD_PEER) != 0);
    }
}

static const struct unit_case cases[] = {{"find", test_find}, {"rows", test_rows}, {NULL, NULL}};

extern const struct unit_suite commands_suite;
const struct unit_suite commands_suite = {"commands", cases};
