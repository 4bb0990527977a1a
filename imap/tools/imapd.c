/* imapd: the IMAP server: what is local is served, what is elsewhere in a murder is proxied. */
#include "imap/local/local.h"
#include "imap/mboxop/mboxop.h"
#include "imap/mboxop/push.h"
#include "imap/proxy/proxy.h"
#include "imap/proxy/offers.h"
#include "imap/session/process.h"
#include "imap/sievehost/imapsieve.h"
#include "imap/sievehost/sievehost.h"
#include "imap/store/store.h"
#include "lib/backend/backend.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "lib/name/name-config.h"
#include "master/service-run.h"

/* Made by start(), freed by end(); not changed between. */
static struct {
    struct leg_program program;
    struct local_env local;
    struct mboxop_env mboxop;
    struct mboxop_keeper *keeper;
    struct mboxlist *list;
} imapd;

/* A frontend has no store: there imapd is proxyd. */
static bool has_store(void)
{
    return config_role() != CONFIG_FRONTEND;
}

static bool has_peers(void)
{
    return config_role() == CONFIG_FRONTEND || config_role() == CONFIG_UNIFIED;
}

static void declare_legs(void)
{
    if (has_store()) {
        imapd.program.local = &local_leg_ops;
        imapd.program.local_new = local_new;
        imapd.program.newcomer = local_newcomer;
        imapd.program.newcomer_cancel = local_newcomer_cancel;
    }
    if (has_peers()) {
        imapd.program.proxy = &proxy_leg_ops;
        imapd.program.proxy_new = proxy_leg_new;
        imapd.program.place = proxy_place;
        if (!has_store()) {
            imapd.program.newcomer = proxy_newcomer;
            imapd.program.newcomer_cancel = proxy_newcomer_cancel;
        }
        imapd.program.barrier_begin = proxy_barrier_begin;
        imapd.program.barrier_result = proxy_barrier_result;
        imapd.program.barrier_cancel = proxy_barrier_cancel;
        imapd.program.servers_have = offers_everywhere;
        imapd.program.servers_change = offers_change;
        offers_refresh();
    }
}

/* What the local leg works on. */
static int open_store(char **error_r)
{
    struct store_options options;
    int r;

    store_options_configured(&options);
    r = store_open(&options, &imapd.local.store, error_r);
    if (r == 0)
        r = mboxlist_open(NULL, &imapd.list, error_r);
    if (r < 0)
        return r;
    imapd.mboxop = (struct mboxop_env){.config = name_config(),
                                       .list = imapd.list,
                                       .store = imapd.local.store,
                                       .link = mupdate_link(MUPDATE_MASTER),
                                       .server = config_servername()};
    imapd.local.mboxop = &imapd.mboxop;
    if (imapsieve_is_on())
        r = sievehost_open(imapd.local.store, name_config(), &imapd.local.sieve, error_r);
    if (r < 0)
        return r;
    imapd.program.runs_scripts = imapd.local.sieve != NULL;
    local_setup(&imapd.local);
    imapd.keeper = mboxop_keeper_new(&imapd.mboxop, mboxop_push_quietly, NULL);
    return 0;
}

static void tick(void *unused)
{
    (void)unused;
    if (has_peers()) {
        offers_refresh();
        backend_pool_expire();
    }
    if (imapd.local.store != NULL)
        store_housekeeping(imapd.local.store);
    if (imapd.keeper == NULL)
        return;
    /* a retired process may live as long as its sessions, and its configuration is an old one */
    if (service_is_stopping())
        mboxop_keeper_rest(imapd.keeper);
    else
        mboxop_keeper_tick(imapd.keeper);
}

static int start(struct engine *e, void *context, char **error_r)
{
    const struct front_process config = {
        .program = &imapd.program,
        .service = service_name(),
        .tls_always = service_option('s') != NULL,
        .proxies = service_proxies(),
        .tick = tick,
    };
    int r = 0;

    (void)e;
    (void)context;
    declare_legs();
    if (has_store())
        r = open_store(error_r);
    return r == 0 ? front_process_start(&config, error_r) : r;
}

static void end(void *context)
{
    (void)context;
    front_process_end();
    sievehost_close(&imapd.local.sieve);
    if (imapd.keeper != NULL)
        mboxop_keeper_free(&imapd.keeper);
    mupdate_links_stop();
    backend_pool_clear();
    offers_end();
    if (imapd.list != NULL)
        mboxlist_close(&imapd.list);
    if (imapd.local.store != NULL)
        store_close(&imapd.local.store);
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "imapd",
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
