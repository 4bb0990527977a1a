#include "imap/lmtp/engine/process.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "lib/base/error.h"

/* Set by start and end, read by others only between them; `stopping` is guarded by the lock. */
static struct {
    struct lmtpd_process config;
    struct lmtpd_service service;
    struct login_service *login;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool running, stopping;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Waits a tick; false: the process stops. */
static bool wait_tick(void)
{
    struct timespec until;
    bool go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LMTPD_TICK_MS / 1000;
    pthread_mutex_lock(&process.lock);
    while (!process.stopping && pthread_cond_timedwait(&process.cond, &process.lock, &until) != ETIMEDOUT)
        ;
    go_on = !process.stopping;
    pthread_mutex_unlock(&process.lock);
    return go_on;
}

static void *keep_house(void *unused)
{
    (void)unused;
    while (wait_tick())
        process.config.tick(process.config.context);
    return NULL;
}

static int start_thread(void)
{
    pthread_condattr_t attr;
    int r;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&process.cond, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&process.thread, NULL, keep_house, NULL);
    process.running = r == 0;
    return r == 0 ? 0 : error_from_errno(r);
}

int lmtpd_process_start(const struct lmtpd_process *config, char **error_r)
{
    const struct login_config login = {
        .service = config->service,
        .ops = &lmtpd_login_ops,
        .context = &process.service,
    };
    int r;

    process.config = *config;
    process.service.transport = config->transport;
    process.service.context = config->context;
    process.service.preauthorised = config->preauthorised;
    lmtpd_naming_configured(&process.service.naming);
    r = login_service_new(&login, &process.login, error_r);
    return r == 0 ? start_thread() : r;
}

void lmtpd_process_accepted(struct engine *e, int fd, void *context)
{
    (void)context;
    login_accept(e, fd, process.login);
}

void lmtpd_process_stop(void)
{
    if (!process.running)
        return;
    pthread_mutex_lock(&process.lock);
    process.stopping = true;
    pthread_cond_signal(&process.cond);
    pthread_mutex_unlock(&process.lock);
    pthread_join(process.thread, NULL);
    process.running = false;
}

void lmtpd_process_end(void)
{
    lmtpd_process_stop();
    login_service_free(&process.login);
}
