/* A whole LMTP session with a backend: what a client says, all of it. */
#include <stdint.h>

#include "fuzz/serve.h"
#include "fuzz/served-store.h"
#include "imap/lmtp/engine/front.h"
#include "imap/lmtp/local/local.h"
#include "lib/base/mem.h"

enum { RENEW_AFTER = 1000 };

static struct lmtpd_service lmtp = {.transport = &lmtpd_local_transport, .preauthorised = true};
static struct lmtpd_local *local;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_local(void)
{
    BUG_ON(lmtpd_local_open(&local, NULL) != 0);
    lmtp.context = local;
}

static struct login_service *begin(void)
{
    struct login_config config = {.service = "lmtp", .ops = &lmtpd_login_ops, .context = &lmtp};
    struct login_service *service;

    served_store_begin();
    open_local();
    lmtpd_naming_configured(&lmtp.naming);
    BUG_ON(login_service_new(&config, &service, NULL) != 0);
    return service;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_service *service;
    static unsigned count;

    if (service == NULL) {
        service = begin();
    } else if (++count % RENEW_AFTER == 0) {
        lmtpd_local_close(&local);
        served_store_renew();
        open_local();
    }
    serve_talk(service, data, size);
    return 0;
}
