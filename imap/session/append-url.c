/* append-url.c: the bytes of other messages in one that is appended (CATENATE, RFC 4469): a server that has both reads them
 * itself; else they are read here, wherever they are, and go on as they come. */
#include <string.h>

#include "imap/session/appending.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/name/namespace.h"

/* ---- URLs that are no good ---- */

/* Says nothing of mailboxes that the user may not know of. */
static const char no_message[] = "No such message, or it may not be read";

/* A URL in a response code: what may not stand there as it is, is percent-encoded. */
static void put_text(const char *url, struct buf *to)
{
    size_t n = 0;

    for (; *url != '\0' && n < IMAP_URL_MAX; url++, n++) {
        if (*url > ' ' && *url < 0x7f && strchr("\"\\]", *url) == NULL)
            buf_putc(to, *url);
        else
            buf_printf(to, "%%%02X", (unsigned char)*url);
    }
}

static const char *bad_url_text(struct command *cmd, const char *url, const char *why)
{
    struct buf text = BUF_INIT;
    const char *copy;

    buf_puts(&text, "[BADURL \"");
    put_text(url, &text);
    buf_printf(&text, "\"] %s", why);
    copy = pool_strdup(cmd->pool, buf_cstr(&text));
    buf_free(&text);
    return copy;
}

static enum step bad_url(struct command *cmd, const char *why)
{
    struct appending *a = cmd->state;

    return appending_refuse(cmd, ERR_REFUSED, bad_url_text(cmd, a->url_text, why));
}

const char *appending_refused_url(struct command *cmd, const char *failure)
{
    const struct appending *a = cmd->state;

    if (strncmp(failure, "[BADURL ", 8) != 0)
        return failure;
    for (const struct appending_url *u = a->passed; u != NULL; u = u->next)
        if (strstr(failure, u->printed) != NULL)
            return bad_url_text(cmd, u->text, no_message);
    return failure;
}

/* ---- the bytes ---- */

void appending_url_cleanup(struct appending *a)
{
    if (a->reader != NULL)
        a->from->ops->reader_close(&a->reader);
    buf_free(&a->url_literal);
}

static enum step end_url(struct command *cmd)
{
    struct appending *a = cmd->state;

    a->url_text = NULL;
    cmd->step = appending_next;
    return STEP_MORE;
}

static enum step copy_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    int r = 0;

    if (a->pending_len == 0)
        r = a->from->ops->reader_read(a->reader, &a->pending, &a->pending_len);
    if (r == ERR_EOF && a->left == 0)
        return end_url(cmd);
    if (r == 0 && a->pending_len > a->left)
        r = ERR_PROTOCOL;
    if (r < 0)
        return appending_fail(cmd, r == ERR_EOF ? ERR_PROTOCOL : r);
    r = cmd->leg->ops->sink_write(a->sink, a->pending, a->pending_len);
    if (r < 0)
        return appending_fail(cmd, r);
    appending_scan(a, a->pending, (size_t)r); /* what is there already may be as it is */
    a->pending += r;
    a->pending_len -= (size_t)r;
    a->left -= (uint64_t)r;
    return STEP_MORE;
}

/* So many bytes will be read. */
static enum step part_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct leg_part part = {a->left, false, false};
    int r = part.size > 0 ? cmd->leg->ops->sink_part(a->sink, &part) : 0;

    if (r < 0)
        return appending_fail(cmd, r);
    a->pending_len = 0;
    cmd->step = copy_step;
    return copy_step(cmd);
}

static enum step open_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    int r = a->from->ops->reader_open(a->from, cmd, &a->piece, &a->reader, &a->left);

    if (r == ERR_NOTFOUND || r == ERR_DENIED)
        return bad_url(cmd, no_message);
    if (r == 0)
        r = appending_grow(a, a->left);
    if (r < 0)
        return appending_fail(cmd, r);
    cmd->step = part_step;
    return part_step(cmd);
}

/* ---- where they are ---- */

/* The URL for another server, which knows this user's names as we do. */
static const char *print(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct namespace ns = *cmd->client->ns;
    struct buf name = BUF_INIT, text = BUF_INIT;
    const char *printed = NULL;

    ns.utf8 = true;
    if (namespace_to_external(&ns, a->piece.mailbox, &name) == 0) {
        a->url.mailbox = buf_cstr(&name);
        imap_url_print(&a->url, &text);
        printed = pool_strdup(cmd->pool, buf_cstr(&text));
    }
    buf_free(&name);
    buf_free(&text);
    return printed;
}

/* Lets the message's own server read it, if it can: 0. */
static int pass_url(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct appending_url *passed;
    const char *printed;
    int r;

    if (a->from != cmd->leg || cmd->leg->ops->sink_url == NULL || (printed = print(cmd)) == NULL)
        return ERR_UNSUPPORTED;
    r = cmd->leg->ops->sink_url(a->sink, printed);
    if (r < 0)
        return r;
    passed = pool_alloc(cmd->pool, sizeof(*passed));
    *passed = (struct appending_url){a->passed, printed, a->url_text};
    a->passed = passed;
    a->is_empty = a->in_header = false;
    return 0;
}

static enum step locate_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct leg *from;
    int r = route_mailbox(cmd, a->piece.mailbox, &from);

    if (r == ERR_NOTFOUND)
        return bad_url(cmd, no_message);
    if (r < 0)
        return appending_fail(cmd, r);
    if (a->reader != NULL && a->from != from)
        a->from->ops->reader_close(&a->reader);
    a->from = from;
    r = pass_url(cmd);
    if (r == 0)
        return end_url(cmd);
    if (r != ERR_UNSUPPORTED)
        return appending_fail(cmd, r);
    cmd->step = open_step;
    return open_step(cmd);
}

/* RFC 4469 3: without a name it is the selected mailbox. */
static int name_mailbox(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct client *c = cmd->client;
    struct buf internal = BUF_INIT;
    struct namespace ns = *c->ns;
    int r = 0;

    ns.utf8 = true; /* RFC 5092 8 */
    if (a->url.mailbox != NULL)
        r = namespace_to_internal(&ns, a->url.mailbox, &internal);
    else if (c->state == CLIENT_SELECTED && c->selected_name != NULL)
        buf_puts(&internal, c->selected_name);
    else
        r = ERR_BADNAME;
    a->piece = (struct leg_piece){.mailbox = pool_strdup(cmd->pool, buf_cstr(&internal)),
                                  .uidvalidity = a->url.uidvalidity,
                                  .uid = a->url.uid,
                                  .section = a->url.section,
                                  .has_partial = a->url.has_partial,
                                  .offset = a->url.offset,
                                  .size = a->url.size};
    buf_free(&internal);
    return r;
}

enum step appending_url(struct command *cmd, const char *url)
{
    struct appending *a = cmd->state;
    int r = imap_url_parse(url, cmd->pool, &a->url);

    a->url_text = url;
    if (r == ERR_UNSUPPORTED)
        return bad_url(cmd, "Not the URL of a message here");
    if (r < 0)
        return bad_url(cmd, "Invalid URL");
    if (name_mailbox(cmd) < 0)
        return bad_url(cmd, "Invalid mailbox name");
    cmd->step = locate_step;
    return locate_step(cmd);
}
