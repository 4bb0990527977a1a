#include "imap/session/append-syntax.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Reads texts, each but the last with a literal behind it, and writes the items: M(flags,date) or C(flags,date) L E D, T
 * U(url) or U (a literal) 8, or X for an error. */
static void read_texts(const char *const *texts, struct buf *out)
{
    struct pool *pool = pool_new(0);
    struct append_syntax s;
    struct imap_args args;
    int item = APPEND_ITEM_END;

    append_syntax_init(&s);
    s.catenate = s.utf8 = true;
    imap_args_init(&args, pool, texts[0], strlen(texts[0]));
    append_syntax_text(&s, &args, texts[1] != NULL);
    while (item >= 0 && item != APPEND_ITEM_DONE) {
        item = append_syntax_next(&s);
        switch (item) {
        case APPEND_ITEM_MESSAGE:
            buf_printf(out, "%s(%s,%s)", s.is_catenated ? "C" : "M", s.flags, s.date != NULL ? s.date : "");
            break;
        case APPEND_ITEM_URL:
            buf_puts(out, "U");
            if (s.url != NULL) {
                buf_printf(out, "(%s)", s.url);
                break;
            }
            texts++;
            imap_args_init(&args, pool, texts[0], strlen(texts[0]));
            append_syntax_text(&s, &args, texts[1] != NULL);
            break;
        case APPEND_ITEM_LITERAL:
        case APPEND_ITEM_TEXT:
        case APPEND_ITEM_UTF8:
            buf_puts(out, item == APPEND_ITEM_LITERAL ? "L" : (item == APPEND_ITEM_TEXT ? "T" : "8"));
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
        {{" CATENATE (URL a)"}, "C(,)U(a)ED"},
        {{" (\\Seen) \"" DATE "\" catenate (text ", ")"}, "C(\\Seen," DATE ")TED"},
        {{" CATENATE (URL \"a b\" TEXT ", " URL ", " URL c)"}, "C(,)U(a b)TUU(c)ED"},
        {{" CATENATE (URL a) CATENATE (TEXT ", ") ", ""}, "C(,)U(a)EC(,)TEM(,)LED"},
        {{" CATENATE (UTF8 (", ") TEXT ", ")"}, "C(,)8TED"},
        {{" UTF8 (", ")"}, "M(,)8ED"},
        {{" UTF8 (", ") (\\Seen) ", ""}, "M(,)8EM(\\Seen,)LED"},
        {{" UTF8 (", ""}, "M(,)8X"},
        {{" UTF8 ", ""}, "X"},
        {{" UTF8 (x", ")"}, "X"},
        {{" CATENATE (UTF8 (", " URL a)"}, "C(,)8X"},
        {{" CATENATE (UTF8 (a))"}, "C(,)X"},
        {{" CATENATE ()"}, "C(,)X"},
        {{" CATENATE (", ")"}, "C(,)X"},
        {{" CATENATE (TEXT)"}, "C(,)X"},
        {{" CATENATE (TEXT a)"}, "C(,)X"},
        {{" CATENATE (TEXT  ", ")"}, "C(,)X"},
        {{" CATENATE (TEXT ", " )"}, "C(,)TX"},
        {{" CATENATE (TEXT ", ")x"}, "C(,)TEX"},
        {{" CATENATE (TEXT ", "", ""}, "C(,)TX"},
        {{" CATENATE (TEXT ", ")", ""}, "C(,)TEX"},
        {{" CATENATE (URL"}, "C(,)X"},
        {{" CATENATE (URL )"}, "C(,)X"},
        {{" CATENATE (URL a"}, "C(,)U(a)X"},
        {{" CATENATE (URL a b)"}, "C(,)U(a)X"},
        {{" CATENATE (URL a)(URL b)"}, "C(,)U(a)EX"},
        {{" CATENATE ((URL a))"}, "C(,)X"},
        {{" CATENATE URL a"}, "X"},
        {{" CATENATE"}, "X"},
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
