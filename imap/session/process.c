#include "imap/session/process.h"

#include "imap/session/front.h"
#include "lib/base/clock.h"
#include "lib/base/ticker.h"
#include "lib/mboxlist/mboxlist.h"

enum { HOUSEKEEPING_MS = 60 * 1000 };

/* Set by start and end, read by others only between them; housekeeping_due is the ticker's. */
static struct {
    struct front_process config;
    struct front_context context;
    struct login_service *login;
    struct ticker *ticker;
    int64_t housekeeping_due;
} process;

static void keep_house(void *unused)
{
    (void)unused;
    if (process.config.tick != NULL)
        process.config.tick(process.config.context);
    if (clock_left(process.housekeeping_due) != 0)
        return;
    mboxlist_housekeeping(process.context.list);
    process.housekeeping_due = clock_deadline(HOUSEKEEPING_MS);
}

int front_process_start(const struct front_process *config, char **error_r)
{
    const struct login_config login = {
        .service = config->service,
        .ops = &imap_front,
        .context = &process.context,
        .tls_always = config->tls_always,
        .proxies = config->proxies,
    };
    int r;

    process.config = *config;
    leg_register(config->program);
    r = mboxlist_open(NULL, &process.context.list, error_r);
    if (r == 0)
        r = login_service_new(&login, &process.login, error_r);
    process.housekeeping_due = clock_deadline(HOUSEKEEPING_MS);
    return r == 0 ? ticker_start(FRONT_TICK_MS, keep_house, NULL, &process.ticker) : r;
}

void front_process_accepted(struct engine *e, int fd, void *context)
{
    (void)context;
    login_accept(e, fd, process.login);
}

void front_process_end(void)
{
    ticker_stop(&process.ticker);
    login_service_free(&process.login);
    mboxlist_close(&process.context.list);
}

struct mboxlist *front_process_list(void)
{
    return process.context.list;
}
