#include "imap/sievehost/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cunit/imap/sievehost/place.h"
#include "cunit/unit.h"
#include "imap/sievehost/courier.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_memory(void)
{
    struct memory *m;

    place_new("");
    CU_ASSERT_EQUAL_FATAL(memory_open(&m, NULL), 0);
    CU_ASSERT(!memory_knows(m, MEMORY_VACATION, "fred", "x", 1, 100));
    CU_ASSERT_EQUAL(memory_mark(m, MEMORY_VACATION, "fred", "x", 1, 200, 100), 0);
    CU_ASSERT_EQUAL(memory_mark(m, MEMORY_VACATION, "fred", "x", 1, 300, 199), ERR_EXISTS);
    CU_ASSERT(memory_knows(m, MEMORY_VACATION, "fred", "x", 1, 199));
    CU_ASSERT(!memory_knows(m, MEMORY_VACATION, "fred", "x", 1, 200));
    CU_ASSERT(!memory_knows(m, MEMORY_DONE, "fred", "x", 1, 100));
    CU_ASSERT(!memory_knows(m, MEMORY_VACATION, "fre", "dx", 2, 100));
    CU_ASSERT(!memory_knows(m, MEMORY_VACATION, "bob", "x", 1, 100));
    memory_close(&m);
    CU_ASSERT_EQUAL_FATAL(memory_open(&m, NULL), 0);
    CU_ASSERT(memory_knows(m, MEMORY_VACATION, "fred", "x", 1, 199)); /* it is on disk */
    memory_forget(m, MEMORY_VACATION, "fred", "x", 1);
    CU_ASSERT(!memory_knows(m, MEMORY_VACATION, "fred", "x", 1, 199));
    memory_close(&m);
}

static void test_expiry(void)
{
    struct memory *m;
    char what[16];

    place_new("");
    CU_ASSERT_EQUAL_FATAL(memory_open(&m, NULL), 0);
    for (int i = 0; i < 50; i++) {
        snprintf(what, sizeof(what), "%d", i);
        CU_ASSERT_EQUAL(memory_mark(m, MEMORY_DONE, "fred", what, strlen(what), i, 0), 0);
    }
    CU_ASSERT_EQUAL(memory_expire(m, 39), 40);
    CU_ASSERT_EQUAL(memory_expire(m, 39), 0);
    CU_ASSERT(memory_knows(m, MEMORY_DONE, "fred", "40", 2, 0));
    CU_ASSERT(!memory_knows(m, MEMORY_DONE, "fred", "39", 2, 0));
    memory_close(&m);
}

/* ---- couriers ---- */

struct errand {
    struct courier_task task;
    atomic_int *done;
};

static void run(struct courier_task *task)
{
    atomic_fetch_add(((struct errand *)task)->done, 1);
}

static void test_courier(void)
{
    static struct errand errands[500];
    atomic_int done = 0;
    struct courier *c = courier_new();

    for (size_t i = 0; i < ARRAY_SIZE(errands); i++) {
        errands[i] = (struct errand){.task = {.run = run}, .done = &done};
        courier_submit(c, &errands[i].task);
    }
    courier_free(&c);
    CU_ASSERT_EQUAL(done, (int)ARRAY_SIZE(errands));
    c = courier_new();
    courier_free(&c);
    CU_ASSERT_PTR_NULL(c);
}

static const struct unit_case cases[] = {
    {"memory", test_memory}, {"expiry", test_expiry}, {"courier", test_courier}, {NULL, NULL}};

const struct unit_suite sievehost_memory_suite = {"imap/sievehost/memory", cases};
