/* A whole session with a MUPDATE master: the first byte says whether the client has logged in, the rest is all that it
 * ever says. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/serve.h"
#include "imap/login/login.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "mupdate/front.h"
#include "mupdate/names.h"

enum { RENEW_AFTER = 5000 };

static struct server server = {.role = "(master)"};
static struct names *names;
static struct door door = {.server = &server};
static struct login_ops ops;
static bool is_known;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum engine_verdict greet(struct login *l)
{
    enum engine_verdict v = front_ops.greeting(l);

    if (is_known)
        login_preauth(l, "murder");
    return v;
}

static void published(void *context)
{
    (void)context;
    hub_wake(server.hub);
}

static void open_names(void)
{
    char *error;

    BUG_ON(names_open(opt_string(OPT_CONFIGDIRECTORY), 0, published, NULL, &names, &error) != 0);
    server.writer = writer_new(names, NULL, NULL);
    server.source = names_source(names);
}

static void close_names(void)
{
    writer_free(&server.writer);
    names_close(&names);
}

static struct login_service *begin(void)
{
    struct login_config config = {.service = "mupdate", .ops = &ops, .context = &door};
    struct login_service *service;

    ops = front_ops;
    ops.greeting = greet;
    serve_begin("mupdate", close_names); /* Berkeley DB's memory looks lost else */
    server.hub = hub_new();
    server.lanes = lanes_new(0);
    server.conflicts = conflicts_new();
    open_names();
    BUG_ON(login_service_new(&config, &service, NULL) != 0);
    return service;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_service *service;
    static unsigned count;

    if (size == 0)
        return 0;
    if (service == NULL) {
        service = begin();
    } else if (++count % RENEW_AFTER == 0) {
        close_names();
        serve_wipe();
        open_names();
    }
    is_known = data[0] % 2 != 0;
    serve_talk(service, data + 1, size - 1);
    return 0;
}
