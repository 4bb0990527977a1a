#include "lib/sasl/init.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/sasl/sasl-private.h"

/* ---- libsasl2's callbacks for the process ---- */

static void *mutex_new(void)
{
    pthread_mutex_t *m = xmalloc(sizeof(*m));

    pthread_mutex_init(m, NULL);
    return m;
}

static int mutex_lock(void *m)
{
    return pthread_mutex_lock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static int mutex_unlock(void *m)
{
    return pthread_mutex_unlock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static void mutex_free(void *m)
{
    pthread_mutex_destroy(m);
    free(m);
}

/* The value of sasl_NAME, wherever imapd.conf's reader keeps it; NULL: not given. */
static const char *option_value(const char *name)
{
    static const struct {
        const char *name;
        enum option option;
    } in_table[] = {
        {"pwcheck_method", OPT_SASL_PWCHECK_METHOD},
    };
    char full[128];

    for (size_t i = 0; i < ARRAY_SIZE(in_table); i++) {
        if (strcmp(name, in_table[i].name) == 0)
            return opt_string(in_table[i].option);
    }
    if (strcmp(name, "auto_transition") == 0)
        return opt_switch(OPT_SASL_AUTO_TRANSITION) ? "yes" : "no";
    if (snprintf(full, sizeof(full), "sasl_%s", name) >= (int)sizeof(full))
        return NULL;
    return config_overflow(full);
}

static int get_option(void *context, const char *plugin, const char *option, const char **value,
                      unsigned *len)
{
    const char *found = NULL;
    char name[128];

    (void)context;
    if (plugin != NULL && snprintf(name, sizeof(name), "%s_%s", plugin, option) < (int)sizeof(name)) {
        str_lower(name);
        found = option_value(name);
    }
    if (found == NULL)
        found = option_value(option);
    *value = found;
    if (len != NULL)
        *len = found != NULL ? (unsigned)strlen(found) : 0;
    return found != NULL ? SASL_OK : SASL_FAIL;
}

/* What the library reports beside its results.  A failed login is login's to log. */
static int log_message(void *context, int level, const char *message)
{
    int priority;

    (void)context;
    switch (level) {
    case SASL_LOG_ERR:
        priority = LOG_WARNING;
        break;
    case SASL_LOG_FAIL:
    case SASL_LOG_WARN:
        priority = LOG_NOTICE;
        break;
    case SASL_LOG_NOTE:
    case SASL_LOG_DEBUG:
        priority = LOG_DEBUG;
        break;
    default: /* SASL_LOG_TRACE and SASL_LOG_PASS may show secrets */
        return SASL_OK;
    }
    LOG(priority, SASL_LIBRARY, LOG_STR(TEXT, message));
    return SASL_OK;
}

#define CALLBACK(f) ((int (*)(void))(void (*)(void))(f))

static int setup_result;

static void setup(void)
{
    static const sasl_callback_t callbacks[] = {
        {SASL_CB_GETOPT, CALLBACK(get_option), NULL},
        {SASL_CB_LOG, CALLBACK(log_message), NULL},
        {SASL_CB_LIST_END, NULL, NULL},
    };

    sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
    if (sasl_server_init(callbacks, "iatlas") != SASL_OK || sasl_client_init(callbacks) != SASL_OK)
        setup_result = ERR_CONFIG;
}

int sasl_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, setup);
    return setup_result;
}

/* ---- names ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where users have domains, fred@defaultdomain is fred, for those who keep the passwords too. */
static void cut_default_domain(char *name)
{
    const char *domain = opt_string(OPT_DEFAULTDOMAIN);
    char *at = strrchr(name, '@');

    if (opt_enum(OPT_VIRTDOMAINS) != VIRTDOMAINS_OFF && domain != NULL && at != NULL && at != name &&
        str_ieq(at + 1, domain))
        *at = '\0';
}

int sasl_canonical_name(const char *name, size_t n, char *to)
{
    while (n > 0 && is_blank(name[0])) {
        name++;
        n--;
    }
    while (n > 0 && is_blank(name[n - 1]))
        n--;
    if (n == 0 || n > SASL_NAME_MAX || !str_is_utf8(name, n))
        return ERR_INVALID;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return ERR_INVALID;
    }
    memcpy(to, name, n);
    to[n] = '\0';
    if (opt_switch(OPT_USERNAME_TOLOWER))
        str_lower(to);
    cut_default_domain(to);
    return 0;
}

/* ---- both sides ---- */

const char *sasl_address(char to[SASL_ADDRESS_MAX], const char *address, unsigned port)
{
    if (address == NULL || address[0] == '\0')
        return NULL;
    if (snprintf(to, SASL_ADDRESS_MAX, "%s;%u", address, port) >= SASL_ADDRESS_MAX)
        return NULL;
    return to;
}

int sasl_result(int r)
{
    switch (r) {
    case SASL_OK:
        return SASL_STATUS_DONE;
    case SASL_CONTINUE:
        return SASL_STATUS_CONTINUE;
    case SASL_NOMECH:
    case SASL_TOOWEAK:
        return ERR_UNSUPPORTED;
    case SASL_ENCRYPT:
        return ERR_TLS;
    case SASL_NOAUTHZ:
        return ERR_DENIED;
    case SASL_BADPROT:
    case SASL_BADPARAM:
        return ERR_PROTOCOL;
    case SASL_BUFOVER:
        return ERR_TOOBIG;
    case SASL_FAIL: /* so it says when saslauthd does not answer */
    case SASL_UNAVAIL:
    case SASL_TRYAGAIN:
    case SASL_NOMEM:
        return ERR_UNAVAILABLE;
    default:
        return ERR_AUTH;
    }
}

int sasl_set_properties(sasl_conn_t *conn, bool tls, unsigned tls_bits, unsigned flags)
{
    sasl_ssf_t external = tls ? (tls_bits > 0 ? tls_bits : 1) : 0;
    int64_t min = opt_int(OPT_SASL_MINIMUM_LAYER), max = opt_int(OPT_SASL_MAXIMUM_LAYER);
    sasl_security_properties_t properties = {
        .min_ssf = (sasl_ssf_t)(min > 0 ? min : 0),
        .max_ssf = tls ? external : (sasl_ssf_t)(max > 0 ? max : 0),
        .maxbufsize = SASL_LAYER_BUFFER_MAX,
        .security_flags = flags,
    };

    if (tls && sasl_setprop(conn, SASL_SSF_EXTERNAL, &external) != SASL_OK)
        return ERR_CONFIG;
    return sasl_setprop(conn, SASL_SEC_PROPS, &properties) == SASL_OK ? 0 : ERR_CONFIG;
}

unsigned sasl_layer_ssf(sasl_conn_t *conn)
{
    const void *ssf = NULL;

    if (sasl_getprop(conn, SASL_SSF, &ssf) != SASL_OK || ssf == NULL)
        return 0;
    return *(const sasl_ssf_t *)ssf;
}

static int layer_encode(void *context, const char *in, size_t n, const char **out, size_t *out_n)
{
    unsigned len = 0;

    if (sasl_encode(context, in, (unsigned)n, out, &len) != SASL_OK)
        return ERR_PROTOCOL;
    *out_n = len;
    return 0;
}

static int layer_decode(void *context, const char *in, size_t n, const char **out, size_t *out_n)
{
    unsigned len = 0;

    if (sasl_decode(context, in, (unsigned)n, out, &len) != SASL_OK)
        return ERR_PROTOCOL;
    *out_n = len;
    return 0;
}

void sasl_layer_get(sasl_conn_t *conn, struct sasl_layer *layer_r)
{
    const void *max = NULL;
    size_t max_out = 0;

    if (sasl_getprop(conn, SASL_MAXOUTBUF, &max) == SASL_OK && max != NULL)
        max_out = *(const unsigned *)max;
    if (max_out == 0 || max_out > SASL_LAYER_BUFFER_MAX)
        max_out = SASL_LAYER_BUFFER_MAX;
    *layer_r = (struct sasl_layer){conn, layer_encode, layer_decode, max_out};
}
