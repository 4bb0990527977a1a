#include "lib/imapwire/response.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

static bool slice_is(struct imap_slice s, const char *text)
{
    return s.n == strlen(text) && (s.n == 0 || memcmp(s.s, text, s.n) == 0);
}

static void test_parse(void)
{
    static const struct {
        const char *line;
        int r;
        enum imap_response_kind kind;
        enum imap_status status;
        int number; /* -1: none */
        const char *word, *code, *code_args, *args;
    } rows[] = {
        {"* OK hello", 0, IMAP_UNTAGGED, IMAP_OK, -1, "OK", "", "", "hello"},
        {"* ok [UIDVALIDITY 7] Ok\r\n", 0, IMAP_UNTAGGED, IMAP_OK, -1, "ok", "UIDVALIDITY", "7", "Ok"},
        {"* OK [CAPABILITY IMAP4rev1 IDLE] x", 0, IMAP_UNTAGGED, IMAP_OK, -1, "OK", "CAPABILITY",
         "IMAP4rev1 IDLE", "x"},
        {"* OK [ALERT]", 0, IMAP_UNTAGGED, IMAP_OK, -1, "OK", "ALERT", "", ""},
        {"* OK [broken", 0, IMAP_UNTAGGED, IMAP_OK, -1, "OK", "", "", "[broken"},
        {"* BYE", 0, IMAP_UNTAGGED, IMAP_BYE, -1, "BYE", "", "", ""},
        {"* 12 EXISTS", 0, IMAP_UNTAGGED, IMAP_STATUS_NONE, 12, "EXISTS", "", "", ""},
        {"* 3 FETCH (FLAGS ())", 0, IMAP_UNTAGGED, IMAP_STATUS_NONE, 3, "FETCH", "", "", "(FLAGS ())"},
        {"* SEARCH", 0, IMAP_UNTAGGED, IMAP_STATUS_NONE, -1, "SEARCH", "", "", ""},
        {"a1 NO [TRYCREATE] no", 0, IMAP_TAGGED, IMAP_NO, -1, "NO", "TRYCREATE", "", "no"},
        {"a1 BAD", 0, IMAP_TAGGED, IMAP_BAD, -1, "BAD", "", "", ""},
        {"+ idling", 0, IMAP_CONTINUE, IMAP_STATUS_NONE, -1, "", "", "", ""},
        {"+", 0, IMAP_CONTINUE, IMAP_STATUS_NONE, -1, "", "", "", ""},
        {"a1 BYE x", ERR_PROTOCOL, 0, 0, 0, "", "", "", ""},
        {"a1 LIST x", ERR_PROTOCOL, 0, 0, 0, "", "", "", ""},
        {"", ERR_PROTOCOL, 0, 0, 0, "", "", "", ""},
        {"*", ERR_PROTOCOL, 0, 0, 0, "", "", "", ""},
        {"* 12", ERR_PROTOCOL, 0, 0, 0, "", "", "", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct imap_response r;
        int got = imap_response_parse(rows[i].line, strlen(rows[i].line), &r);

        CU_ASSERT_EQUAL(got, rows[i].r);
        if (got < 0 || rows[i].r < 0)
            continue;
        CU_ASSERT_EQUAL(r.kind, rows[i].kind);
        CU_ASSERT_EQUAL(r.status, rows[i].status);
        CU_ASSERT_EQUAL(r.has_number ? (int)r.number : -1, rows[i].number);
        CU_ASSERT(slice_is(r.word, rows[i].word));
        CU_ASSERT(slice_is(r.code, rows[i].code));
        CU_ASSERT(slice_is(r.code_args, rows[i].code_args));
        CU_ASSERT(slice_is(r.args, rows[i].args));
    }
}

/* The reader gives back exactly the bytes, however they arrive, and finds the ends of responses. */
static void read_in_steps(const char *text, size_t n, size_t step, struct buf *bytes, int *responses)
{
    struct imap_reader reader;
    struct imap_piece piece;
    struct stream *stream;
    bool inside = false;
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    stream = stream_new(fds[0]);
    imap_reader_init(&reader, stream);
    *responses = 0;
    for (size_t i = 0; i < n; i += step) {
        CU_ASSERT(write(fds[1], text + i, n - i < step ? n - i : step) > 0);
        while (stream_fill(stream) > 0)
            ;
        while (imap_reader_next(&reader, &piece) == 1) {
            CU_ASSERT_EQUAL(piece.first, !inside);
            inside = !piece.last;
            *responses += piece.last;
            buf_append(bytes, piece.data, piece.len);
        }
    }
    CU_ASSERT(!inside);
    stream_free(&stream);
    close(fds[1]);
}

static void test_reader(void)
{
    static const char text[] = "* 1 FETCH (BODY[] {10}\r\n* OK\r\na {5} UID 7 X {0}\r\n)\r\n"
                               "a1 OK done\r\n* SEARCH 1 2 3\r\n+ go\r\n";
    static const size_t steps[] = {1, 2, 5, 1000};
    struct buf bytes = BUF_INIT;
    int responses;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        buf_reset(&bytes);
        read_in_steps(text, sizeof(text) - 1, steps[i], &bytes, &responses);
        CU_ASSERT_EQUAL(responses, 4);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&bytes), text);
    }
    buf_free(&bytes);
}

/* The text of a status response may end like a literal's count. */
static void test_text(void)
{
    static const char text[] =
        "a NO no such folder x{9}\r\n* OK [ALERT] {9}\r\n+ {9}\r\n* 1 FETCH (X {1}\r\n{)\r\n";
    struct buf bytes = BUF_INIT;
    int responses;

    read_in_steps(text, sizeof(text) - 1, 3, &bytes, &responses);
    CU_ASSERT_EQUAL(responses, 4);
    buf_free(&bytes);
}

/* A line longer than the stream holds comes in pieces; a literal at its end is still seen. */
static void test_long_line(void)
{
    struct buf text = BUF_INIT, bytes = BUF_INIT;
    int responses;

    buf_puts(&text, "* SEARCH");
    for (int i = 0; i < 40000; i++)
        buf_printf(&text, " %d", i);
    buf_puts(&text, " {3}\r\nxyz\r\na OK\r\n");
    read_in_steps(text.data, text.len, 30000, &bytes, &responses);
    CU_ASSERT_EQUAL(responses, 2);
    CU_ASSERT_EQUAL(bytes.len, text.len);
    CU_ASSERT(bytes.len == text.len && memcmp(bytes.data, text.data, text.len) == 0);
    buf_free(&text);
    buf_free(&bytes);
}

static void test_collect(void)
{
    struct imap_reader reader;
    struct stream *stream;
    struct buf b = BUF_INIT;
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    stream = stream_new(fds[0]);
    imap_reader_init(&reader, stream);
    CU_ASSERT(write(fds[1], "* X {2}\r\nab c\r\n* Y", 18) == 18);
    while (stream_fill(stream) > 0)
        ;
    CU_ASSERT_EQUAL(imap_reader_collect(&reader, 100, &b), 1);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "* X {2}\r\nab c");
    buf_reset(&b);
    CU_ASSERT_EQUAL(imap_reader_collect(&reader, 100, &b), 0);
    CU_ASSERT(write(fds[1], "1234567890\r\n", 12) == 12);
    while (stream_fill(stream) > 0)
        ;
    CU_ASSERT_EQUAL(imap_reader_collect(&reader, 10, &b), ERR_TOOBIG);
    buf_free(&b);
    stream_free(&stream);
    close(fds[1]);
}

static void test_slices(void)
{
    struct imap_slice list = {"IMAP4rev1 LITERAL+  IDLE", 24};

    CU_ASSERT(imap_slice_has(list, "literal+"));
    CU_ASSERT(imap_slice_has(list, "IDLE"));
    CU_ASSERT(!imap_slice_has(list, "LITERAL"));
    CU_ASSERT(!imap_slice_has(list, ""));
    CU_ASSERT(!imap_slice_has((struct imap_slice){"", 0}, "IDLE"));
}

static const struct unit_case cases[] = {
    {"parse", test_parse},     {"reader", test_reader}, {"text", test_text}, {"long line", test_long_line},
    {"collect", test_collect}, {"slices", test_slices}, {NULL, NULL}};

extern const struct unit_suite response_suite;
const struct unit_suite response_suite = {"response", cases};
