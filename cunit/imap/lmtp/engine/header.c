#include "imap/lmtp/engine/header.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static const struct {
    bool drop, munge;
    const char *in, *out;
    bool has_8bit;
} rows[] = {
    {true, true, "", "", false},
    {true, true, "a: b\r\n\r\nReturn-Path: x\xff\r\n", "a: b\r\n\r\nReturn-Path: x\xff\r\n", false},
    {true, true, "Return-Path: <x>\r\na: b\r\n\r\nc", "a: b\r\n\r\nc", false},
    {true, true, "a: b\r\nRETURN-path:\r\n <x>\r\n\t\xff\r\nreturn-path: y\r\nc: d\r\n\r\n",
     "a: b\r\nc: d\r\n\r\n", false},
    {true, true, "Return-Paths: x\r\nReturn: y\r\n Return-Path: z\r\n\r\n",
     "Return-Paths: x\r\nReturn: y\r\n Return-Path: z\r\n\r\n", false},
    {true, true, "Return-Pa", "Return-Pa", false},
    {true, true, "return-path: x", "", false},
    {true, true, "Return-Path: x\r\n\r\nbody", "\r\nbody", false},
    {true, true, "Return-Path: x\n\nReturn-Path: y", "\nReturn-Path: y", false},
    {true, true, "\r\nReturn-Path: x\r\n", "\r\nReturn-Path: x\r\n", false},
    {false, false, "Return-Path: x\r\nS: \xc3\xbc\r\n\r\n\xff", "Return-Path: x\r\nS: \xc3\xbc\r\n\r\n\xff",
     true},
    {false, true, "S: \xc3\xbc\xff!\r\n \x80\r\n\r\n\xff", "S: XXX!\r\n X\r\n\r\n\xff", true},
    {false, true, "\xff", "X", true},
    {true, false, "\r\xff\r\n\r\nx", "\r\xff\r\n\r\nx", true},
};

static void test_rows(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t step = 1; step < 100; step += 33) {
            struct lmtpd_header h;
            struct buf out = BUF_INIT;
            size_t n = strlen(rows[i].in);

            lmtpd_header_begin(&h, rows[i].drop, rows[i].munge);
            for (size_t at = 0; at < n; at += step)
                lmtpd_header_feed(&h, rows[i].in + at, step < n - at ? step : n - at, &out);
            lmtpd_header_end(&h, &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), rows[i].out);
            CU_ASSERT_EQUAL(h.has_8bit, rows[i].has_8bit);
            buf_free(&out);
        }
    }
}

static const struct unit_case cases[] = {{"fields and characters", test_rows}, {NULL, NULL}};
extern const struct unit_suite header_suite;
const struct unit_suite header_suite = {"imap/lmtp/header", cases};
