/* lmtpd: LMTP into this server's mailboxes; on a frontend it is what lmtpproxyd is; on a node that is both
 * (mupdate_config: unified) each recipient goes where its mailbox is. */
#include "imap/lmtp/engine/process.h"
#include "imap/lmtp/local/local.h"
#include "imap/lmtp/relay/relay.h"
#include "imap/lmtp/unified/unified.h"
#include "lib/base/config.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "master/service-run.h"

/* Set by start(), freed by end(); what the role does not need stays NULL. */
static struct lmtpd_unified all;

static void tick(void *context)
{
    (void)context;
    if (all.local != NULL)
        lmtpd_local_tick(all.local);
    if (all.relay != NULL)
        lmtpd_relay_tick(all.relay);
}

/* Opens what the role needs and says which transport it is. */
static int open_role(enum config_role role, struct lmtpd_process *process, char **error_r)
{
    int r = 0;

    if (role != CONFIG_FRONTEND)
        r = lmtpd_local_open(&all.local, error_r);
    if (r == 0 && (role == CONFIG_FRONTEND || role == CONFIG_UNIFIED))
        r = lmtpd_relay_open(&all.relay, error_r);
    if (r == 0 && role == CONFIG_UNIFIED)
        r = mboxlist_open(NULL, &all.list, error_r);
    process->transport = role == CONFIG_UNIFIED ? &lmtpd_unified_transport
                         : all.relay != NULL    ? &lmtpd_relay_transport
                                                : &lmtpd_local_transport;
    process->context = role == CONFIG_UNIFIED ? (void *)&all
                       : all.relay != NULL    ? (void *)all.relay
                                              : (void *)all.local;
    return r;
}

static int start(struct engine *e, void *context, char **error_r)
{
    struct lmtpd_process process = {
        .service = service_name(),
        .preauthorised = service_option('a') != NULL,
        .tick = tick,
    };
    int r = open_role(config_role(), &process, error_r);

    (void)e;
    (void)context;
    return r == 0 ? lmtpd_process_start(&process, error_r) : r;
}

static void stop(void *context)
{
    (void)context;
    lmtpd_process_stop();
}

static void end(void *context)
{
    (void)context;
    lmtpd_process_end();
    lmtpd_relay_close(&all.relay);
    lmtpd_local_close(&all.local);
    mboxlist_close(&all.list);
    mupdate_links_stop();
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "lmtpd",
        .name = "lmtp",
        .options = "a",
        .fds_per_session = 8, /* the client, the stage, mailboxes, or an epoll and backends */
        .start = start,
        .accepted = lmtpd_process_accepted,
        .stop = stop,
        .end = end,
    };

    return service_run(&service, argc, argv);
}
