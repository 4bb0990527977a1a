/* choose.c: which backend gets a mailbox that nothing else places: serverlist_select_mode. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/placing.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

#define FREESPACE "/shared/vendor/cmu/cyrus-imapd/freespace/"

struct choice {
    struct placing_rule rule;
    size_t at;                         /* the server that is asked now */
    uint64_t free_kib, total_kib;      /* its answer; total 0: none */
    struct placing_candidate *answers; /* of those that are there */
    size_t count;
};

static bool read_space(const char *text, uint64_t *free_r, uint64_t *total_r)
{
    const char *semicolon = strchr(text, ';');

    return semicolon != NULL && str_parse_u64(text, (size_t)(semicolon - text), free_r) == 0 &&
           str_parse_u64(semicolon + 1, strlen(semicolon + 1), total_r) == 0 && *free_r <= *total_r;
}

/* "* METADATA "" (entry "free;total")", KiB.  False: it is something else. */
static bool take_space(struct command *cmd, struct choice *choice, const struct imap_response *response)
{
    const char *mailbox, *entry, *value;
    struct imap_args args;

    imap_args_init(&args, cmd->pool, response->args.s, response->args.n);
    if (!imap_slice_is(response->word, "METADATA") || imap_args_astring(&args, &mailbox) < 0 ||
        *mailbox != '\0' || imap_args_space(&args) < 0 || imap_args_char(&args, '(') < 0 ||
        imap_args_astring(&args, &entry) < 0 || !str_has_iprefix(entry, FREESPACE))
        return false;
    if (imap_args_space(&args) < 0 || imap_args_nstring(&args, &value) < 0 || value == NULL ||
        !read_space(value, &choice->free_kib, &choice->total_kib))
        choice->total_kib = 0;
    return true;
}

static int ask(struct proxy_leg *p, struct command *cmd, struct choice *choice)
{
    const char *which = choice->rule.mode == SELECT_FREESPACE_MOST ? "total" : "percent/most";
    struct imap_response response;
    enum reply reply;
    int r = proxy_begin_once(p, cmd, pool_printf(cmd->pool, "GETMETADATA \"\" (\"" FREESPACE "%s\")", which));

    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED)
        if (!take_space(cmd, choice, &response) && (p->selected || p->watching))
            proxy_pass_line(p);
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    return proxy_judge(p, cmd, response.rest.s, response.rest.n, NULL);
}

int proxy_choose(struct command *cmd, const struct str_list *servers, const char **server_r)
{
    struct choice *c = cmd->placing;

    if (c == NULL) {
        c = cmd->placing = pool_alloc(cmd->pool, sizeof(*c));
        c->rule.mode = (enum opt_select_mode)opt_enum(OPT_SERVERLIST_SELECT_MODE);
        c->rule.limit = (unsigned)opt_int(OPT_SERVERLIST_SELECT_SOFT_USAGE_LIMIT);
        c->answers = pool_alloc(cmd->pool, servers->count * sizeof(*c->answers));
    }
    for (; c->at < servers->count; c->at++) {
        const char *server = servers->items[c->at];
        struct leg *leg = client_leg(cmd->client, server);
        bool asks =
            leg != NULL && leg->server != NULL && (c->rule.mode != SELECT_RANDOM || c->rule.limit > 0);
        int r = asks && servers->count > 1 ? ask((struct proxy_leg *)leg, cmd, c) : 0;

        if (r == ERR_AGAIN)
            return r;
        if (r == 0 || r == ERR_REFUSED)
            c->answers[c->count++] = (struct placing_candidate){server, c->total_kib, c->free_kib};
        c->total_kib = 0;
    }
    if (c->count == 0)
        return ERR_UNAVAILABLE; /* cmd->failure is the last server's */
    *server_r = c->answers[placing_choose(&c->rule, c->answers, c->count, placing_luck())].name;
    cmd->failure = NULL;
    return 0;
}
