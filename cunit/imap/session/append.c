#include "imap/session/append-syntax.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Reads texts, each but the last with a literal behind it, and writes the items: M(flags,date) L E D, or X for an
 * error. */
static void read_texts(const char *const *texts, struct buf *out)
{
    struct pool *pool = pool_new(0);
    struct append_syntax s;
    struct imap_args args;
    int item = APPEND_ITEM_END;

    append_syntax_init(&s);
    imap_args_init(&args, pool, texts[0], strlen(texts[0]));
    append_syntax_text(&s, &args, texts[1] != NULL);
    while (item >= 0 && item != APPEND_ITEM_DONE) {
        item = append_syntax_next(&s);
        switch (item) {
        case APPEND_ITEM_MESSAGE:
            buf_printf(out, "M(%s,%s)", s.flags, s.date != NULL ? s.date : "");
            break;
        case APPEND_ITEM_LITERAL:
            buf_puts(out, "L");
            texts++;
            imap_args_init(&args, pool, texts[0], strlen(texts[0]));
            append_syntax_text(&s, &args, texts[1] != NULL);
            break;
        case APPEND_ITEM_END:
            buf_puts(out, "E");
            break;
        case APPEND_ITEM_DONE:
            buf_puts(out, "D");
            break;
        default:
            buf_puts(out, "X");
        }
    }
    pool_free(&pool);
}

#define DATE "21-Nov-2026 20:31:38 +0000"

static void test_items(void)
{
    static const struct {
        const char *texts[5];
        const char *items;
    } rows[] = {
        {{" ", ""}, "M(,)LED"},
        {{" (\\Seen $x) ", ""}, "M(\\Seen $x,)LED"},
        {{" () \"" DATE "\" ", ""}, "M(," DATE ")LED"},
        {{" \" 1-Jan-2026 00:00:00 -0730\" ", ""}, "M(, 1-Jan-2026 00:00:00 -0730)LED"},
        {{" ", " (\\Draft) ", " ", ""}, "M(,)LEM(\\Draft,)LEM(,)LED"},
        {{"", ""}, "X"},
        {{" "}, "X"},
        {{""}, "X"},
        {{" ", " "}, "M(,)LEX"},
        {{" ", "x"}, "M(,)LEX"},
        {{" ", "", ""}, "M(,)LEX"},
        {{" ", " (\\Seen)"}, "M(,)LEX"},
        {{" (\\Recent) ", ""}, "X"},
        {{" (\\Seen", ""}, "X"},
        {{" (\\Seen)", ""}, "X"},
        {{" \"" DATE "\"", ""}, "X"},
        {{" frob ", ""}, "X"},
        {{" \"21-Nov-2026 20:31:38\" ", ""}, "X"},
        {{" \"21-Nov-2026 20:31:38 +00x0\" ", ""}, "X"},
        {{" \"21-Nob-2026 20:31:38 +0000\" ", ""}, "X"},
        {{" \"32-Nov-2026 20:31:38 +0000\" ", ""}, "X"},
        {{" \"30-Feb-2024 00:00:00 +0000\" ", ""}, "X"},
        {{" \"29-Feb-2024 00:00:00 +0000\" ", ""}, "M(,29-Feb-2024 00:00:00 +0000)LED"},
        {{" \"29-Feb-2100 00:00:00 +0000\" ", ""}, "X"},
        {{" \"00-Feb-2024 00:00:00 +0000\" ", ""}, "X"},
        {{" \"21-Nov-2026 24:31:38 +0000\" ", ""}, "X"},
        {{" \"21-Nov-2026 20:31:38 \\\"000\" ", ""}, "X"},
        {{" \"" DATE "\" (\\Seen) ", ""}, "X"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out = BUF_INIT;

        read_texts(rows[i].texts, &out);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&out), rows[i].items);
        buf_free(&out);
    }
}

static const struct unit_case cases[] = {{"items", test_items}, {NULL, NULL}};
extern const struct unit_suite append_suite;
const struct unit_suite append_suite = {"append", cases};
