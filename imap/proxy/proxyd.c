/* proxyd: the IMAP frontend: every mailbox on whichever backend has it, none here. */
#include "imap/proxy/proxy.h"
#include "imap/proxy/offers.h"
#include "imap/session/process.h"
#include "lib/backend/backend.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mupdate/link.h"
#include "master/service-run.h"

static const struct leg_program program = {
    .proxy = &proxy_leg_ops,
    .proxy_new = proxy_leg_new,
    .place = proxy_place,
    .newcomer = proxy_newcomer,
    .newcomer_cancel = proxy_newcomer_cancel,
    .barrier_begin = proxy_barrier_begin,
    .barrier_result = proxy_barrier_result,
    .barrier_cancel = proxy_barrier_cancel,
    .servers_have = offers_everywhere,
    .servers_change = offers_change,
};

static void tick(void *unused)
{
    (void)unused;
    offers_refresh();
    backend_pool_expire();
}

static int start(struct engine *e, void *context, char **error_r)
{
    const struct front_process config = {
        .program = &program,
        .service = service_name(),
        .tls_always = service_option('s') != NULL,
        .proxies = service_proxies(),
        .tick = tick,
    };

    (void)e;
    (void)context;
    if (config_role() == CONFIG_STANDALONE) {
        *error_r = xstrdup("proxyd needs mupdate_server in imapd.conf");
        return ERR_CONFIG;
    }
    offers_refresh();
    return front_process_start(&config, error_r);
}

static void end(void *context)
{
    (void)context;
    front_process_end();
    mupdate_links_stop();
    backend_pool_clear();
    offers_end();
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "proxyd",
        .name = "imap",
        .options = "sN",
        .fds_per_session = 2,
        .takes_proxies = true,
        .start = start,
        .accepted = front_process_accepted,
        .end = end,
    };

    return service_run(&service, argc, argv);
}
