/* A whole IMAP session over a store: the first byte says who the client is (nobody yet, a user, an administrator), the
 * rest is all that it ever says. */
#include <stdint.h>

#include "fuzz/serve.h"
#include "fuzz/served-store.h"

enum { RENEW_AFTER = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const users[] = {NULL, "fred", "cyrus"};
    static struct login_service *service;
    static unsigned count;

    if (size == 0)
        return 0;
    if (service == NULL)
        service = served_store_begin();
    else if (++count % RENEW_AFTER == 0)
        served_store_renew();
    served_store_user(users[data[0] % 3]);
    serve_talk(service, data + 1, size - 1);
    return 0;
}
