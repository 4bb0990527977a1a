/* lmtpproxyd: LMTP on a frontend: every message to the backends that have its recipients' mailboxes. */
#include "imap/lmtp/engine/process.h"
#include "imap/lmtp/relay/relay.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mupdate/link.h"
#include "master/service-run.h"

static struct lmtpd_relay *relay;

static int start(struct engine *e, void *context, char **error_r)
{
    struct lmtpd_process process = {
        .service = service_name(),
        .transport = &lmtpd_relay_transport,
        .preauthorised = service_option('a') != NULL,
        .tick = lmtpd_relay_tick,
    };
    int r;

    (void)e;
    (void)context;
    if (config_role() == CONFIG_STANDALONE) {
        *error_r = xstrdup("lmtpproxyd needs mupdate_server in imapd.conf");
        return ERR_CONFIG;
    }
    r = lmtpd_relay_open(&relay, error_r);
    if (r < 0)
        return r;
    process.context = relay;
    return lmtpd_process_start(&process, error_r);
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
    lmtpd_relay_close(&relay);
    mupdate_links_stop();
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "lmtpproxyd",
        .name = "lmtp",
        .options = "a",
        .fds_per_session = 4, /* the client, an epoll, backends */
        .start = start,
        .accepted = lmtpd_process_accepted,
        .stop = stop,
        .end = end,
    };

    return service_run(&service, argc, argv);
}
