#include <stdarg.h>
#include <string.h>

#include "config.h"
#include "imap/managesieve/front-private.h"
#include "imap/sievehost/scripts.h"
#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

enum { QUOTED_MAX = 1024 }; /* RFC 5804 section 4 */

static bool may_be_quoted(const char *data, size_t n)
{
    if (n > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\0' || data[i] == '\r' || data[i] == '\n')
            return false;
    }
    return true;
}

void managesieve_string(struct stream *s, const char *data, size_t n)
{
    if (!may_be_quoted(data, n)) {
        stream_printf(s, "{%zu}\r\n", n);
        stream_write(s, data, n);
        return;
    }
    stream_puts(s, "\"");
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '"' || data[i] == '\\')
            stream_puts(s, "\\");
        stream_write(s, data + i, 1);
    }
    stream_puts(s, "\"");
}

void managesieve_reply(struct managesieve_front *f, const char *status, const char *code, const char *text)
{
    struct stream *s = f->login->stream;

    stream_puts(s, status);
    if (code != NULL)
        stream_printf(s, " (%s)", code);
    if (text[0] != '\0') {
        stream_puts(s, " ");
        managesieve_string(s, text, strlen(text));
    }
    stream_puts(s, "\r\n");
}

void managesieve_replyf(struct managesieve_front *f, const char *status, const char *code, const char *fmt,
                        ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    managesieve_reply(f, status, code, buf_cstr(&text));
    buf_free(&text);
}

static void capability(struct stream *s, const char *name, const char *value)
{
    stream_printf(s, "\"%s\"", name);
    if (value != NULL) {
        stream_puts(s, " ");
        managesieve_string(s, value, strlen(value));
    }
    stream_puts(s, "\r\n");
}

void managesieve_capabilities(struct managesieve_front *f)
{
    struct login *l = f->login;
    struct stream *s = l->stream;
    bool authenticated = login_is_authenticated(l);
    struct pool *pool = pool_new(0);

    capability(s, "IMPLEMENTATION", "iatlas timsieved " PACKAGE_VERSION);
    capability(s, "VERSION", "1.0");
    if (!authenticated || l->ssf > 0) /* within a layer, so that the client can compare (RFC 5804 2.1) */
        capability(s, "SASL", login_mechanisms(l));
    capability(s, "SIEVE", scripts_extensions(pool));
    capability(s, "NOTIFY", SCRIPTS_NOTIFY_METHODS);
    if (scripts_list_schemes() != NULL)
        capability(s, "EXTLISTS", scripts_list_schemes());
    capability(s, "MAXREDIRECTS", pool_printf(pool, "%u", scripts_redirects_max()));
    if (!authenticated && login_may_starttls(l))
        capability(s, "STARTTLS", NULL);
    if (authenticated)
        capability(s, "OWNER", l->identity->userid);
    if (authenticated && managesieve_may_unauthenticate(l))
        capability(s, "UNAUTHENTICATE", NULL);
    pool_free(&pool);
}
