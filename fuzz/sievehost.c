/* What scripts send: the input up to a NUL is a text of a script, and a mailto: URI; what follows is the header of a message.  What
 * comes of it is a message: fields, one empty line, and no line that a script could have slipped into the header. */
#include <stdint.h>
#include <string.h>

#include "imap/sievehost/compose.h"
#include "lib/base/mem.h"
#include "lib/mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line of the header is a field of a known name, or goes on with one. */
static void check(const struct buf *message)
{
    struct mail_header_iter it;
    struct mail_field field;

    BUG_ON(memchr(message->data, '\0', message->len) != NULL);
    mail_header_begin(&it, message->data, message->len);
    while (mail_header_next(&it, &field)) {
        BUG_ON(field.name_len == 0);
        BUG_ON(mail_field_is(&field, "Bcc") || mail_field_is(&field, "Received"));
    }
}

static void compose(struct pool *pool, const char *text, const char *header, size_t n)
{
    const struct compose c = {pool, header, n, "fred@example.org", "be1.lab", 1000000000, "x1"};
    struct sieve_action action = {
        .address = "a@else.where", .subject = text, .from = text, .importance = '2'};
    struct buf message = BUF_INIT;
    struct mailto mailto;

    action.reason = (struct sieve_string){text, strlen(text)};
    compose_vacation(&c, &action, &message);
    check(&message);
    buf_reset(&message);
    compose_refusal(&c, "postmaster@be1.lab", "a@else.where", &action.reason, &message);
    check(&message);
    buf_reset(&message);
    mailto_parse(pool, text, &mailto);
    BUG_ON(mailto.count > MAILTO_MAX || mailto.to[mailto.count] != NULL);
    compose_notification(&c, &action, &mailto, &message);
    check(&message);
    buf_free(&message);
    BUG_ON(compose_skip_return_path(header, n) > n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    struct pool *pool = pool_new(0);
    size_t n = end != NULL ? (size_t)(end - data) : size;

    if (size < 100000)
        compose(pool, pool_strndup(pool, (const char *)data, n), end != NULL ? (const char *)end + 1 : "",
                end != NULL ? size - n - 1 : 0);
    pool_free(&pool);
    return 0;
}
