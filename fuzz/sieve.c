/* Scripts: the input up to a NUL is a script, what follows a message. */
#include <stdint.h>
#include <string.h>

#include "cunit/lib/sieve/play.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct sieve_script *script, const struct sieve_message *message, struct pool *pool,
                const struct sieve_host *host)
{
    struct sieve_result result;
    int r = sieve_run(script, message, host, pool, &result);

    BUG_ON((r < 0) != (result.error != NULL));
    BUG_ON(result.flags == NULL);
    BUG_ON(r < 0 && (result.actions == NULL || !result.actions->implicit || result.actions->next != NULL));
    for (const struct sieve_action *a = result.actions; a != NULL && message->flags != NULL; a = a->next)
        BUG_ON(a->kind == SIEVE_REJECT || a->kind == SIEVE_EREJECT || a->kind == SIEVE_VACATION);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - data) : size;
    struct sieve_message message = {
        .data = "", .from = "a@b.example", .to = "roadrunner+fast@acme.example.com"};
    struct sieve_host host = play_world;
    struct sieve_script *script;
    struct buf errors = BUF_INIT;
    struct pool *pool = pool_new(0);

    if (end != NULL) {
        message.data = (const char *)end + 1;
        message.len = size - n - 1;
    }
    if (sieve_compile((const char *)data, n, &errors, &script) == 0) {
        run(script, &message, pool, &play_world);
        host.effort = 64 * 1024; /* a worker's moment */
        run(script, &message, pool, &host);
        message.from = message.to = NULL;
        message.flags = "\\Seen kw"; /* an event of IMAP */
        run(script, &message, pool, &play_world);
    } else {
        BUG_ON(errors.len == 0);
    }
    sieve_script_free(&script);
    play_forget();
    buf_free(&errors);
    pool_free(&pool);
    return 0;
}
