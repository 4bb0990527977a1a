#include "lib/sasl/client.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/sasl/sasl-private.h"

struct sasl_client {
    unsigned magic;
    struct sasl_client_config config; /* its strings are in the pool; the password in `secret` alone */
    struct pool *pool;
    sasl_callback_t callbacks[5];
    sasl_secret_t *secret;
    sasl_conn_t *conn;
};

#define SASL_CLIENT_MAGIC 0x5a51c11eu

/* ---- callbacks ---- */

/* Without a user to act for the authorization identity stays empty (RFC 4422 3.4.1). */
static int get_name(void *context, int id, const char **result, unsigned *len)
{
    const struct sasl_client *c = context;
    const char *name;

    MAGIC_CHECK(c, SASL_CLIENT_MAGIC);
    if (id == SASL_CB_USER)
        name = c->config.username != NULL ? c->config.username : "";
    else
        name = c->config.authname != NULL ? c->config.authname : "";
    *result = name;
    if (len != NULL)
        *len = (unsigned)strlen(name);
    return SASL_OK;
}

static int get_secret(sasl_conn_t *conn, void *context, int id, sasl_secret_t **secret)
{
    struct sasl_client *c = context;

    (void)conn;
    (void)id;
    MAGIC_CHECK(c, SASL_CLIENT_MAGIC);
    *secret = c->secret;
    return c->secret != NULL ? SASL_OK : SASL_FAIL;
}

static int get_realm(void *context, int id, const char **offered, const char **result)
{
    const struct sasl_client *c = context;

    (void)id;
    MAGIC_CHECK(c, SASL_CLIENT_MAGIC);
    *result = c->config.realm;
    if (*result == NULL)
        *result = offered != NULL && offered[0] != NULL ? offered[0] : "";
    return SASL_OK;
}

/* ---- life ---- */

static char *copy(struct sasl_client *c, const char *s)
{
    return s != NULL ? pool_strdup(c->pool, s) : NULL;
}

static void set_callback(sasl_callback_t *to, unsigned long id, void (*f)(void), void *context)
{
    *to = (sasl_callback_t){id, (int (*)(void))f, context};
}

static void set_callbacks(struct sasl_client *c)
{
    set_callback(&c->callbacks[0], SASL_CB_USER, (void (*)(void))get_name, c);
    set_callback(&c->callbacks[1], SASL_CB_AUTHNAME, (void (*)(void))get_name, c);
    set_callback(&c->callbacks[2], SASL_CB_PASS, (void (*)(void))get_secret, c);
    set_callback(&c->callbacks[3], SASL_CB_GETREALM, (void (*)(void))get_realm, c);
    set_callback(&c->callbacks[4], SASL_CB_LIST_END, NULL, NULL);
}

static void set_secret(struct sasl_client *c, const char *password)
{
    size_t n = strlen(password);

    c->secret = xcalloc(1, sizeof(*c->secret) + n + 1);
    c->secret->len = n;
    memcpy(c->secret->data, password, n);
}

int sasl_cli_new(const struct sasl_client_config *config, struct sasl_client **client_r)
{
    struct sasl_client *c = xcalloc(1, sizeof(*c));
    int r = sasl_setup();

    c->magic = SASL_CLIENT_MAGIC;
    c->pool = pool_new(256);
    c->config = *config;
    c->config.service = copy(c, config->service);
    c->config.server = copy(c, config->server);
    c->config.local = copy(c, config->local);
    c->config.peer = copy(c, config->peer);
    c->config.authname = copy(c, config->authname);
    c->config.username = copy(c, config->username);
    c->config.realm = copy(c, config->realm);
    c->config.password = NULL;
    set_callbacks(c);
    if (config->password != NULL)
        set_secret(c, config->password);
    if (r != 0)
        sasl_cli_free(&c);
    *client_r = c;
    return r;
}

void sasl_cli_free(struct sasl_client **client)
{
    struct sasl_client *c = *client;

    if (c == NULL)
        return;
    MAGIC_CHECK(c, SASL_CLIENT_MAGIC);
    sasl_dispose(&c->conn);
    if (c->secret != NULL)
        explicit_bzero(c->secret->data, c->secret->len);
    free(c->secret);
    pool_free(&c->pool);
    c->magic = 0;
    free(c);
    *client = NULL;
}

/* ---- the choice of a mechanism ---- */

const char *sasl_cli_wanted_mechs(const char *server)
{
    const char *mechs = config_host_overflow(server, "mechs");

    return mechs != NULL ? mechs : opt_string(OPT_FORCE_SASL_CLIENT_MECH);
}

static bool has_mech(const struct str_list *list, const char *mech)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_ieq(list->items[i], mech))
            return true;
    }
    return false;
}

/* Can the mechanism name another user than the one whose password it is? */
static bool can_proxy(const char *mech)
{
    return !str_ieq(mech, "LOGIN") && !str_ieq(mech, "CRAM-MD5") && !str_ieq(mech, "NTLM") &&
           !str_ieq(mech, "SRP");
}

/* Those of the offer that may be tried, in a list of the pool. */
static struct str_list candidates(struct sasl_client *c, struct pool *pool, const char *offered,
                                  const char *wanted)
{
    struct str_list all = str_split(pool, offered, " \t\""), list = {0};
    struct str_list wish = str_split(pool, wanted != NULL ? wanted : "", " \t");

    list.items = pool_alloc(pool, (all.count + 1) * sizeof(*list.items));
    for (size_t i = 0; i < all.count; i++) {
        const char *mech = all.items[i];

        if ((wanted != NULL && !has_mech(&wish, mech)) || (c->config.username != NULL && !can_proxy(mech)) ||
            (str_ieq(mech, "EXTERNAL") && !c->config.external))
            continue;
        list.items[list.count++] = all.items[i];
    }
    return list;
}

static int open_conn(struct sasl_client *c)
{
    const struct sasl_client_config *k = &c->config;
    char local[SASL_ADDRESS_MAX], peer[SASL_ADDRESS_MAX];
    int r;

    sasl_dispose(&c->conn);
    if (sasl_client_new(k->service, k->server, sasl_address(local, k->local, k->local_port),
                        sasl_address(peer, k->peer, k->peer_port), c->callbacks, 0, &c->conn) != SASL_OK)
        return ERR_CONFIG;
    r = sasl_set_properties(c->conn, k->tls, k->tls_bits,
                            SASL_SEC_NOANONYMOUS | (k->no_plaintext ? SASL_SEC_NOPLAINTEXT : 0));
    if (r == 0 && k->external &&
        sasl_setprop(c->conn, SASL_AUTH_EXTERNAL, k->authname != NULL ? k->authname : "") != SASL_OK)
        r = ERR_CONFIG;
    return r;
}

static int begin(struct sasl_client *c, const char *mechs, const char **mech_r, const char **out,
                 size_t *out_n)
{
    unsigned len = 0;
    int r = open_conn(c);

    *mech_r = *out = NULL;
    if (r != 0)
        return r;
    r = sasl_client_start(c->conn, mechs, NULL, out, &len, mech_r);
    *out_n = *out != NULL ? len : 0;
    if (r == SASL_OK || r == SASL_CONTINUE || r == SASL_NOMECH)
        return sasl_result(r);
    return ERR_AUTH; /* no password, no Kerberos ticket... */
}

static void forget(struct str_list *list, const char *mech)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!str_ieq(list->items[i], mech))
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* Tries the strongest, and the next one if that cannot even begin here (GSSAPI without a ticket). */
static int begin_best(struct sasl_client *c, struct str_list *list, const char **mech_r, const char **out,
                      size_t *out_n)
{
    struct buf mechs = BUF_INIT;
    int r = ERR_UNSUPPORTED;

    while (list->count > 0) {
        size_t before = list->count;

        buf_reset(&mechs);
        for (size_t i = 0; i < list->count; i++)
            buf_printf(&mechs, "%s%s", i > 0 ? " " : "", list->items[i]);
        r = begin(c, buf_cstr(&mechs), mech_r, out, out_n);
        if (r >= 0 || *mech_r == NULL)
            break;
        forget(list, *mech_r);
        if (list->count == before)
            break;
    }
    buf_free(&mechs);
    return r;
}

int sasl_cli_start(struct sasl_client *client, const char *offered, const char *wanted, const char **mech_r,
                   const char **out, size_t *out_n)
{
    struct pool *pool = pool_new(0);
    struct str_list list;
    int r = ERR_UNSUPPORTED;

    MAGIC_CHECK(client, SASL_CLIENT_MAGIC);
    *mech_r = *out = NULL;
    *out_n = 0;
    list = candidates(client, pool, offered, wanted);
    if (has_mech(&list, "EXTERNAL"))
        r = begin(client, "EXTERNAL", mech_r, out, out_n);
    if (r < 0)
        r = begin_best(client, &list, mech_r, out, out_n);
    pool_free(&pool);
    return r;
}

int sasl_cli_step(struct sasl_client *client, const char *challenge, size_t n, const char **out,
                  size_t *out_n)
{
    unsigned len = 0;
    int r;

    MAGIC_CHECK(client, SASL_CLIENT_MAGIC);
    *out = NULL;
    *out_n = 0;
    if (n > SASL_DATA_MAX)
        return ERR_AUTH;
    r = sasl_result(sasl_client_step(client->conn, challenge, (unsigned)n, NULL, out, &len));
    *out_n = *out != NULL ? len : 0;
    return r >= 0 ? r : ERR_AUTH;
}

unsigned sasl_cli_ssf(const struct sasl_client *client)
{
    return sasl_layer_ssf(client->conn);
}

void sasl_cli_layer(struct sasl_client *client, struct sasl_layer *layer_r)
{
    BUG_ON(sasl_cli_ssf(client) == 0);
    sasl_layer_get(client->conn, layer_r);
}

const char *sasl_cli_error(const struct sasl_client *client)
{
    const char *text = client->conn != NULL ? sasl_errdetail(client->conn) : NULL;

    return text != NULL ? text : "";
}
