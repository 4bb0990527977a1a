#include "lib/sasl/server.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/sasl/sasl-private.h"

struct sasl_server {
    unsigned magic;
    struct sasl_server_config config; /* its strings are in the pool */
    struct pool *pool;
    sasl_callback_t callbacks[3];
    sasl_conn_t *conn;
    bool used;      /* an exchange was begun on conn */
    bool name_next; /* mechanism LOGIN: the next response is the name */
    bool by_password;
};

#define SASL_SERVER_MAGIC 0x5a51c0deu

/* ---- callbacks ---- */

static int canonical(sasl_conn_t *conn, void *context, const char *in, unsigned n, unsigned flags,
                     const char *realm, char *out, unsigned out_max, unsigned *out_n)
{
    char name[SASL_NAME_MAX + 1];

    (void)conn;
    (void)context;
    (void)flags;
    (void)realm;
    if (sasl_canonical_name(in, n, name) != 0)
        return SASL_BADAUTH;
    if (!str_copy(out, out_max, name))
        return SASL_BUFOVER;
    *out_n = (unsigned)strlen(out);
    return SASL_OK;
}

static int authorize(sasl_conn_t *conn, void *context, const char *user, unsigned user_n, const char *authid,
                     unsigned authid_n, const char *realm, unsigned realm_n, struct propctx *properties)
{
    const struct sasl_server *server = context;
    char u[SASL_NAME_MAX + 1], a[SASL_NAME_MAX + 1];

    (void)conn;
    (void)realm;
    (void)realm_n;
    (void)properties;
    MAGIC_CHECK(server, SASL_SERVER_MAGIC);
    if (sasl_canonical_name(user, user_n, u) != 0 || sasl_canonical_name(authid, authid_n, a) != 0)
        return SASL_NOAUTHZ;
    if (strcmp(u, a) == 0)
        return SASL_OK;
    if (server->config.may_proxy != NULL && server->config.may_proxy(server->config.context, a, u))
        return SASL_OK;
    return SASL_NOAUTHZ;
}

/* ---- life ---- */

bool sasl_srv_plaintext_allowed(const struct sasl_server *server)
{
    return server->config.tls || server->config.trusted_transport || opt_switch(OPT_ALLOWPLAINTEXT);
}

/* servername without the port that it may carry: the realm of names without one. */
static const char *own_name(struct pool *pool)
{
    const char *name = config_servername(), *colon = strchr(name, ':');

    return colon != NULL && strchr(colon + 1, ':') == NULL ? pool_strndup(pool, name, (size_t)(colon - name))
                                                           : name;
}

static int open_conn(struct sasl_server *s)
{
    const struct sasl_server_config *c = &s->config;
    char local[SASL_ADDRESS_MAX], peer[SASL_ADDRESS_MAX];
    unsigned flags = 0;
    int r = sasl_server_new(c->service, own_name(s->pool), NULL, sasl_address(local, c->local, c->local_port),
                            sasl_address(peer, c->peer, c->peer_port), s->callbacks,
                            c->success_data ? SASL_SUCCESS_DATA : 0, &s->conn);

    if (r != SASL_OK)
        return ERR_CONFIG;
    if (!sasl_srv_plaintext_allowed(s))
        flags |= SASL_SEC_NOPLAINTEXT;
    if (!opt_switch(OPT_ALLOWANONYMOUSLOGIN))
        flags |= SASL_SEC_NOANONYMOUS;
    r = sasl_set_properties(s->conn, c->tls, c->tls_bits, flags);
    if (r == 0 && c->external != NULL && sasl_setprop(s->conn, SASL_AUTH_EXTERNAL, c->external) != SASL_OK)
        r = ERR_CONFIG;
    s->used = false;
    s->by_password = false;
    return r;
}

int sasl_srv_new(const struct sasl_server_config *config, struct sasl_server **server_r)
{
    struct sasl_server *s = xcalloc(1, sizeof(*s));
    struct sasl_server_config *c = &s->config;
    int r = sasl_setup();

    s->magic = SASL_SERVER_MAGIC;
    s->pool = pool_new(256);
    *c = *config;
    c->service = pool_strdup(s->pool, config->service);
    c->local = config->local != NULL ? pool_strdup(s->pool, config->local) : NULL;
    c->peer = config->peer != NULL ? pool_strdup(s->pool, config->peer) : NULL;
    c->external = config->external != NULL ? pool_strdup(s->pool, config->external) : NULL;
    s->callbacks[0] = (sasl_callback_t){SASL_CB_CANON_USER, (int (*)(void))(void (*)(void))canonical, NULL};
    s->callbacks[1] = (sasl_callback_t){SASL_CB_PROXY_POLICY, (int (*)(void))(void (*)(void))authorize, s};
    s->callbacks[2] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    if (r == 0)
        r = open_conn(s);
    if (r != 0)
        sasl_srv_free(&s);
    *server_r = s;
    return r;
}

void sasl_srv_free(struct sasl_server **server)
{
    struct sasl_server *s = *server;

    if (s == NULL)
        return;
    MAGIC_CHECK(s, SASL_SERVER_MAGIC);
    sasl_dispose(&s->conn);
    pool_free(&s->pool);
    s->magic = 0;
    free(s);
    *server = NULL;
}

/* ---- exchanges ---- */

unsigned sasl_srv_mechs(struct sasl_server *server, const char *prefix, const char *separator, struct buf *to)
{
    const char *list = NULL;
    struct pool *pool;
    struct str_list words;
    size_t n;

    MAGIC_CHECK(server, SASL_SERVER_MAGIC);
    if (sasl_listmech(server->conn, NULL, "", " ", "", &list, NULL, NULL) != SASL_OK)
        return 0;
    pool = pool_new(0);
    words = str_split(pool, list, " ");
    for (size_t i = 0; i < words.count; i++)
        buf_printf(to, "%s%s%s", i > 0 ? separator : "", prefix, words.items[i]);
    n = words.count;
    pool_free(&pool);
    return (unsigned)n;
}

/* A connection that an exchange has touched is replaced: nothing of a failed one stays. */
static int fresh(struct sasl_server *s)
{
    int r = 0;

    if (s->used) {
        sasl_dispose(&s->conn);
        r = open_conn(s);
    }
    s->used = true;
    return r;
}

static int outcome(int r, const char *data, unsigned n, const char **out, size_t *out_n)
{
    bool speaks = r == SASL_CONTINUE || r == SASL_OK;

    *out = speaks ? data : NULL;
    *out_n = speaks && data != NULL ? n : 0;
    return sasl_result(r);
}

/* The plugin of LOGIN leaks the password that it was given with a name that cannot be (2.1.28): it does not get to
 * see such a name. */
static bool name_is_bad(struct sasl_server *s, const char *response, size_t n)
{
    char name[SASL_NAME_MAX + 1];

    if (!s->name_next || response == NULL)
        return false;
    s->name_next = false;
    return sasl_canonical_name(response, n, name) != 0;
}

int sasl_srv_start(struct sasl_server *server, const char *mech, const char *initial, size_t n,
                   const char **out, size_t *out_n)
{
    const char *data = NULL;
    unsigned len = 0;
    int r;

    MAGIC_CHECK(server, SASL_SERVER_MAGIC);
    *out = NULL;
    *out_n = 0;
    if (n > SASL_DATA_MAX)
        return ERR_TOOBIG;
    r = fresh(server);
    if (r != 0)
        return r;
    server->name_next = str_ieq(mech, "LOGIN");
    if (name_is_bad(server, initial, n))
        return sasl_result(SASL_BADAUTH);
    r = sasl_server_start(server->conn, mech, initial, (unsigned)n, &data, &len);
    return outcome(r, data, len, out, out_n);
}

int sasl_srv_step(struct sasl_server *server, const char *response, size_t n, const char **out, size_t *out_n)
{
    const char *data = NULL;
    unsigned len = 0;
    int r;

    MAGIC_CHECK(server, SASL_SERVER_MAGIC);
    *out = NULL;
    *out_n = 0;
    if (n > SASL_DATA_MAX)
        return ERR_TOOBIG;
    if (name_is_bad(server, response, n))
        return sasl_result(SASL_BADAUTH);
    r = sasl_server_step(server->conn, response, (unsigned)n, &data, &len);
    return outcome(r, data, len, out, out_n);
}

int sasl_srv_password(struct sasl_server *server, const char *user, const char *password)
{
    int r = fresh(server);

    if (r != 0)
        return r;
    server->by_password = true;
    return sasl_result(
        sasl_checkpass(server->conn, user, (unsigned)strlen(user), password, (unsigned)strlen(password)));
}

/* ---- results ---- */

static const char *property(const struct sasl_server *s, int which)
{
    const void *value = NULL;

    if (sasl_getprop(s->conn, which, &value) != SASL_OK || value == NULL)
        return "";
    return value;
}

const char *sasl_srv_userid(const struct sasl_server *server)
{
    return property(server, SASL_USERNAME);
}

const char *sasl_srv_authid(const struct sasl_server *server)
{
    return server->by_password ? property(server, SASL_USERNAME) : property(server, SASL_AUTHUSER);
}

const char *sasl_srv_mech(const struct sasl_server *server)
{
    return server->by_password ? "LOGIN" : property(server, SASL_MECHNAME);
}

unsigned sasl_srv_ssf(const struct sasl_server *server)
{
    return sasl_layer_ssf(server->conn);
}

void sasl_srv_layer(struct sasl_server *server, struct sasl_layer *layer_r)
{
    BUG_ON(sasl_srv_ssf(server) == 0);
    sasl_layer_get(server->conn, layer_r);
}

const char *sasl_srv_error(const struct sasl_server *server)
{
    const char *text = server->conn != NULL && server->used ? sasl_errdetail(server->conn) : NULL;

    return text != NULL ? text : "";
}
