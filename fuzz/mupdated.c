/* A whole session with a MUPDATE master, or with the only member of a group that is there: the first byte says which ('G':
 * the member) and whether the client has logged in (odd), the rest is all that it ever says. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/serve.h"
#include "imap/login/login.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "mupdate/front.h"
#include "mupdate/group.h"
#include "mupdate/names.h"

enum { RENEW_AFTER = 5000 };

static struct server server = {.role = "(master)"};
static struct names *names;
static struct door door = {.server = &server};
static struct mupdate_group *group;
static atomic_bool is_broken; /* the group is to be opened again */
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
    mupdate_group_stop(group);
    writer_free(&server.writer);
    if (group != NULL)
        mupdate_group_close(&group);
    else
        names_close(&names);
    server.group = NULL;
    door.barrier_ask = NULL;
    door.barrier_done = NULL;
}

static void broken(void *context)
{
    (void)context;
    atomic_store(&is_broken, true);
}

/* The others refuse connections. */
static void open_group(void)
{
    struct mupdate_group_config config = {.dir = opt_string(OPT_CONFIGDIRECTORY),
                                          .members = "fuzz:1 127.0.0.1:1 127.0.0.1:2",
                                          .own = "fuzz",
                                          .hub = server.hub,
                                          .conflicts = server.conflicts,
                                          .published = published,
                                          .broken = broken};
    char *error;

    atomic_store(&is_broken, false);
    BUG_ON(mupdate_group_open(&config, &group, &error) != 0);
    server.group = group;
    server.writer = writer_new(mupdate_group_names(group), mupdate_group_write, group);
    server.source = names_source(mupdate_group_names(group));
    door.barrier_ask = mupdate_group_barrier_ask;
    door.barrier_done = mupdate_group_barrier_done;
    door.barrier_context = group;
}

static void open_other(bool is_group)
{
    close_names();
    serve_wipe();
    (is_group ? open_group : open_names)();
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
    bool is_group;

    if (size == 0)
        return 0;
    if (service == NULL)
        service = begin();
    is_group = data[0] == 'G';
    if (++count % RENEW_AFTER == 0 || is_group != (group != NULL) || atomic_load(&is_broken))
        open_other(is_group);
    is_known = data[0] % 2 != 0;
    serve_talk(service, data + 1, size - 1);
    return 0;
}
