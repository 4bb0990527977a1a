#include "fuzz/served-store.h"

#include <string.h>

#include "fuzz/serve.h"
#include "imap/local/local.h"
#include "imap/mboxop/mboxop.h"
#include "imap/session/front.h"
#include "imap/session/leg.h"
#include "imap/store/store.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/name-config.h"

#define MESSAGE                                                                                              \
    "From: Fred <fred@example.org>\r\nTo: Mary <mary@example.org>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"     \
    "Date: Sat, 21 Nov 2026 22:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"          \
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; "                     \
    "charset=utf-8\r\n\r\n"                                                                                  \
    "Hello.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nYes.\r\n--b--\r\n"

static struct local_env local;
static struct mboxop_env operations;
static struct front_context context;
static struct login_service *service;
static struct login_ops ops;
static const char *user;

static enum engine_verdict greet(struct login *l)
{
    enum engine_verdict v = imap_front.greeting(l);

    if (user != NULL)
        login_preauth(l, user);
    return v;
}

void served_store_user(const char *userid)
{
    user = userid;
}

static void fill(void)
{
    struct buf text = BUF_INIT;

    user = "cyrus";
    serve_say(service,
              "a CREATE user/fred\r\nb CREATE shared\r\nc SETACL shared fred lrswite\r\nd LOGOUT\r\n");
    user = "fred";
    for (int i = 0; i < 3; i++)
        buf_printf(&text, "a%d APPEND INBOX (\\Flagged key%d) {%zu+}\r\n%s\r\n", i, i, strlen(MESSAGE),
                   MESSAGE);
    buf_puts(&text, "c CREATE Work\r\nd SUBSCRIBE Work\r\ne LOGOUT\r\n");
    serve_say(service, buf_cstr(&text));
    buf_free(&text);
}

static void open_store(void)
{
    struct store_options options;

    store_options_configured(&options);
    BUG_ON(store_open(&options, &local.store, NULL) != 0);
    BUG_ON(mboxlist_open(NULL, &context.list, NULL) != 0);
    operations = (struct mboxop_env){
        .config = name_config(), .list = context.list, .store = local.store, .server = config_servername()};
    local.mboxop = &operations;
    local_setup(&local);
}

void served_store_renew(void)
{
    mboxlist_close(&context.list);
    store_close(&local.store);
    serve_wipe();
    open_store();
    fill();
}

struct login_service *served_store_begin(void)
{
    static const struct leg_program program = {.local = &local_leg_ops, .local_new = local_new};
    struct login_config config = {.service = "imap", .ops = &ops, .context = &context};

    ops = imap_front;
    ops.greeting = greet;
    serve_begin("imap", NULL);
    leg_register(&program);
    open_store();
    BUG_ON(login_service_new(&config, &service, NULL) != 0);
    fill();
    return service;
}
