/* A whole ManageSieve session of a user whose scripts are here: what a client says, all of it. */
#include <stdint.h>

#include "fuzz/serve.h"
#include "imap/managesieve/front.h"
#include "lib/base/mem.h"

enum { RENEW_AFTER = 1000 };

static struct managesieve_service sieve = {.local = true};
static struct login_ops ops;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of the inputs say who they are. */
static bool preauthorised;

static enum engine_verdict greet(struct login *l)
{
    enum engine_verdict v = managesieve_login_ops.greeting(l);

    if (preauthorised)
        login_preauth(l, "fred");
    return v;
}

static struct login_service *begin(void)
{
    struct login_config config = {.service = "sieve", .ops = &ops, .context = &sieve};
    struct login_service *service;

    serve_begin("sieve", NULL);
    ops = managesieve_login_ops;
    ops.greeting = greet;
    BUG_ON(login_service_new(&config, &service, NULL) != 0);
    return service;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_service *service;
    static unsigned count;

    if (service == NULL)
        service = begin();
    else if (++count % RENEW_AFTER == 0)
        serve_wipe();
    preauthorised = size > 0 && data[0] != 'A' && data[0] != 'a';
    serve_talk(service, data, size);
    return 0;
}
