/* Scripts: the input up to a NUL is a script, what follows a message. */
#include <stdint.h>
#include <string.h>

#include "cunit/lib/sieve/play.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - data) : size;
    struct sieve_message message = {"", 0, "a@b.example", "roadrunner+fast@acme.example.com", NULL};
    struct sieve_script *script;
    struct sieve_result result;
    struct buf errors = BUF_INIT;
    struct pool *pool = pool_new(0);

    if (end != NULL) {
        message.data = (const char *)end + 1;
        message.len = size - n - 1;
    }
    if (sieve_compile((const char *)data, n, &errors, &script) == 0) {
        int r = sieve_run(script, &message, &play_world, pool, &result);

        BUG_ON((r < 0) != (result.error != NULL));
        BUG_ON(r < 0 &&
               (result.actions == NULL || !result.actions->implicit || result.actions->next != NULL));
    } else {
        BUG_ON(errors.len == 0);
    }
    sieve_script_free(&script);
    play_forget();
    buf_free(&errors);
    pool_free(&pool);
    return 0;
}
