/* sieve-test: what would a Sieve script do with a message? */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/sievehost/compiled.h"
#include "imap/sievehost/scores.h"
#include "imap/tools/tool.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/sieve/sieve.h"

enum { MESSAGE_MAX = 256 * 1024 * 1024, MAILBOXES_MAX = 100 };

struct wish {
    const char *config, *script, *message;
    const char *from, *to;
    const char *mailboxes[MAILBOXES_MAX + 1]; /* those that there are */
    size_t count;
    const char *text; /* the message's */
    size_t len;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: sieve-test [-C imapd.conf] [-f SENDER] [-t RECIPIENT] [-m MAILBOX]... SCRIPT MESSAGE\n");
    return EX_USAGE;
}

static int parse(int argc, char **argv, struct wish *wish)
{
    int option;

    while ((option = getopt(argc, argv, "C:f:t:m:")) != -1)
        switch (option) {
        case 'C':
            wish->config = optarg;
            break;
        case 'f':
            wish->from = optarg;
            break;
        case 't':
            wish->to = optarg;
            break;
        case 'm':
            if (wish->count == MAILBOXES_MAX)
                return usage();
            wish->mailboxes[wish->count++] = optarg;
            break;
        default:
            return usage();
        }
    if (argc - optind != 2)
        return usage();
    wish->script = argv[optind];
    wish->message = argv[optind + 1];
    return 0;
}

/* ---- what the script asks ---- */

static int mailbox(void *context, enum sieve_mailbox_fact fact, const char *name)
{
    const struct wish *wish = context;

    for (size_t i = 0; i < wish->count; i++)
        if (fact == SIEVE_MAILBOX_EXISTS && strcmp(wish->mailboxes[i], name) == 0)
            return 1;
    return 0;
}

static int spam(void *context, bool percent, struct buf *value)
{
    const struct wish *wish = context;

    return score_spam(wish->text, mail_header_size(wish->text, wish->len), percent, value);
}

static int virus(void *context, struct buf *value)
{
    const struct wish *wish = context;

    return score_virus(wish->text, mail_header_size(wish->text, wish->len), value);
}

/* Scripts that it includes lie beside it. */
static int include(void *context, const char *name, bool global, const struct sieve_script **script_r)
{
    const struct wish *wish = context;
    const char *slash = strrchr(wish->script, '/');
    struct buf path = BUF_INIT, errors = BUF_INIT;
    struct compiled *script;
    int r;

    buf_append(&path, wish->script, slash != NULL ? (size_t)(slash + 1 - wish->script) : 0);
    buf_printf(&path, "%s%s.script", global ? "global/" : "", name);
    r = compiled_file(buf_cstr(&path), &errors, &script);
    if (errors.len > 0)
        fprintf(stderr, "%s:\n%s", buf_cstr(&path), buf_cstr(&errors));
    buf_free(&path);
    buf_free(&errors);
    if (r == 0)
        *script_r = compiled_script(script); /* to the end of the program */
    return r;
}

/* ---- what comes of it ---- */

static void print_list(const char *tag, const char *const *items)
{
    if (items == NULL || *items == NULL)
        return;
    printf(" %s", tag);
    for (; *items != NULL; items++)
        printf(" %s", *items);
}

static void print_target(const struct sieve_target *target)
{
    if (target->mailbox != NULL)
        printf(" \"%s\"", target->mailbox);
    if (target->special_use != NULL)
        printf(" :specialuse %s", target->special_use);
    if (target->mailbox_id != NULL)
        printf(" :mailboxid %s", target->mailbox_id);
    if (target->create)
        printf(" :create");
    print_list(":flags", target->flags);
}

static void print_text(const struct sieve_string *text)
{
    printf("\n");
    for (size_t at = 0; at < text->len;) {
        const char *line = text->data + at;
        size_t n = strcspn(line, "\r\n");

        n = n < text->len - at ? n : text->len - at;
        printf("    %.*s\n", (int)n, line);
        at += n;
        at += at < text->len && text->data[at] == '\r';
        at += at < text->len && text->data[at] == '\n';
    }
}

static void print_action(const struct sieve_action *a)
{
    static const char *const names[] = {
        [SIEVE_KEEP] = "keep",     [SIEVE_FILEINTO] = "fileinto",  [SIEVE_REDIRECT] = "redirect",
        [SIEVE_REJECT] = "reject", [SIEVE_EREJECT] = "ereject",    [SIEVE_VACATION] = "vacation",
        [SIEVE_NOTIFY] = "notify", [SIEVE_DUPLICATE] = "remember",
    };

    printf("%s%s", a->implicit ? "implicit " : "", names[a->kind]);
    if (a->line > 0)
        printf(" (line %u)", a->line);
    if (a->kind == SIEVE_KEEP || a->kind == SIEVE_FILEINTO || a->has_fcc)
        print_target(&a->target);
    if (a->address != NULL)
        printf(" to %s%s", a->list ? "the list " : "", a->address);
    if (a->subject != NULL)
        printf(" :subject \"%s\"", a->subject);
    if (a->header != NULL)
        printf(" with an edited header");
    if (a->reason.len > 0)
        print_text(&a->reason);
    else
        printf("\n");
}

/* A message of a file may have bare line ends; delivery makes CRLF of them. */
static void put_crlf(struct buf *to, const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] == '\n' && (i == 0 || text->data[i - 1] != '\r'))
            buf_putc(to, '\r');
        buf_putc(to, text->data[i]);
    }
}

static int run(struct wish *wish, const struct sieve_script *script, const struct buf *data)
{
    const struct sieve_message message = {
        .data = buf_cstr(data), .len = data->len, .from = wish->from, .to = wish->to};
    const struct sieve_host host = {
        .context = wish, .mailbox = mailbox, .include = include, .spam = spam, .virus = virus};
    struct sieve_result result;
    struct pool *pool = pool_new(0);
    int r;

    wish->text = message.data;
    wish->len = message.len;
    r = sieve_run(script, &message, &host, pool, &result);

    if (result.error != NULL)
        fprintf(stderr, "%s\n", result.error);
    if (result.actions == NULL)
        printf("discard\n");
    for (const struct sieve_action *a = result.actions; a != NULL; a = a->next)
        print_action(a);
    pool_free(&pool);
    return r < 0 ? EX_SOFTWARE : EX_OK;
}

int main(int argc, char **argv)
{
    struct wish wish = {.from = "", .to = "nobody@example.org"};
    struct buf text = BUF_INIT, message = BUF_INIT, errors = BUF_INIT;
    struct compiled *script = NULL;
    const char *at_fault = NULL;
    int r = parse(argc, argv, &wish);

    if (r == 0)
        r = tool_start("sieve-test", wish.config);
    if (r != 0)
        return r;
    r = file_read_all(wish.message, MESSAGE_MAX, &text);
    at_fault = wish.message;
    if (r == 0) {
        at_fault = wish.script;
        r = compiled_file(wish.script, &errors, &script);
    }
    if (r == 0) {
        put_crlf(&message, &text);
        r = run(&wish, compiled_script(script), &message);
    } else {
        fprintf(stderr, "%s: %s\n%s", at_fault, error_text(r), buf_cstr(&errors));
        r = EX_DATAERR;
    }
    compiled_release(&script);
    compiled_forget();
    buf_free(&text);
    buf_free(&message);
    buf_free(&errors);
    return r;
}
