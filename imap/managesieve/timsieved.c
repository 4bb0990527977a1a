/* timsieved: ManageSieve (RFC 5804): users' scripts on this server; on a frontend, and for whom a node that is both has
 * no mailbox, the way to the server that has them. */
#include "imap/login/login.h"
#include "imap/managesieve/front.h"
#include "imap/sievehost/compiled.h"
#include "lib/base/config.h"
#include "lib/base/options.h"
#include "lib/base/ticker.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "master/service-run.h"

enum { TICK_MS = 60 * 1000 };

/* Set by start(), freed by end(). */
static struct {
    struct managesieve_service service;
    struct login_service *login;
    struct ticker *ticker;
} process;

static void tick(void *context)
{
    (void)context;
    mboxlist_housekeeping(process.service.list);
}

static int start(struct engine *e, void *context, char **error_r)
{
    const struct login_config login = {
        .service = service_name(), .ops = &managesieve_login_ops, .context = &process.service};
    enum config_role role = config_role();
    int r = 0;

    (void)e;
    (void)context;
    process.service.local = role != CONFIG_FRONTEND;
    process.service.remote = role == CONFIG_FRONTEND || role == CONFIG_UNIFIED;
    if (process.service.remote || opt_switch(OPT_LOGINUSEACL))
        r = mboxlist_open(NULL, &process.service.list, error_r);
    if (r == 0 && process.service.list != NULL)
        r = ticker_start(TICK_MS, tick, NULL, &process.ticker);
    return r == 0 ? login_service_new(&login, &process.login, error_r) : r;
}

static void accepted(struct engine *e, int fd, void *context)
{
    (void)context;
    login_accept(e, fd, process.login);
}

static void stop(void *context)
{
    (void)context;
    ticker_stop(&process.ticker);
}

static void end(void *context)
{
    stop(context);
    login_service_free(&process.login);
    mboxlist_close(&process.service.list);
    mupdate_links_stop();
    compiled_forget();
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "timsieved",
        .name = "sieve",
        .options = "",
        .fds_per_session = 4, /* the client, a script and its lock, or a server */
        .start = start,
        .accepted = accepted,
        .stop = stop,
        .end = end,
    };

    return service_run(&service, argc, argv);
}
