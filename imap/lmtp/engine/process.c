#include "imap/lmtp/engine/process.h"

#include "lib/base/ticker.h"

/* Set by start and end, read by others only between them. */
static struct {
    struct lmtpd_service service;
    struct login_service *login;
    struct ticker *ticker;
} process;

int lmtpd_process_start(const struct lmtpd_process *config, char **error_r)
{
    const struct login_config login = {
        .service = config->service,
        .ops = &lmtpd_login_ops,
        .context = &process.service,
    };
    int r;

    process.service.transport = config->transport;
    process.service.context = config->context;
    process.service.preauthorised = config->preauthorised;
    lmtpd_naming_configured(&process.service.naming);
    r = login_service_new(&login, &process.login, error_r);
    return r == 0 ? ticker_start(LMTPD_TICK_MS, config->tick, config->context, &process.ticker) : r;
}

void lmtpd_process_accepted(struct engine *e, int fd, void *context)
{
    (void)context;
    login_accept(e, fd, process.login);
}

void lmtpd_process_stop(void)
{
    ticker_stop(&process.ticker);
}

void lmtpd_process_end(void)
{
    lmtpd_process_stop();
    login_service_free(&process.login);
}
