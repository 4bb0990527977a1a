/* choose.c: which backend gets a mailbox that nothing else places: serverlist_select_mode. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

#define FREESPACE "/shared/vendor/cmu/cyrus-imapd/freespace/"

struct choice {
    enum opt_select_mode mode;
    uint64_t limit;               /* percent used; 0: none */
    size_t at;                    /* the server that is asked now */
    uint64_t free_kib, total_kib; /* its answer; total 0: none */
    const char *best, *best_full; /* within the limit; beyond it */
    double score, score_full;
};

static bool read_space(const char *text, uint64_t *free_r, uint64_t *total_r)
{
    const char *semicolon = strchr(text, ';');

    return semicolon != NULL && str_parse_u64(text, (size_t)(semicolon - text), free_r) == 0 &&
           str_parse_u64(semicolon + 1, strlen(semicolon + 1), total_r) == 0 && *free_r <= *total_r;
}

/* "* METADATA "" (entry "free;total")", KiB. */
static void take_metadata(struct command *cmd, struct choice *choice, const struct imap_response *response)
{
    const char *mailbox, *entry, *value;
    struct imap_args args;

    imap_args_init(&args, cmd->pool, response->args.s, response->args.n);
    if (imap_args_astring(&args, &mailbox) < 0 || *mailbox != '\0' || imap_args_space(&args) < 0 ||
        imap_args_char(&args, '(') < 0 || imap_args_astring(&args, &entry) < 0 ||
        !str_has_iprefix(entry, FREESPACE) || imap_args_space(&args) < 0 ||
        imap_args_nstring(&args, &value) < 0 || value == NULL ||
        !read_space(value, &choice->free_kib, &choice->total_kib))
        choice->total_kib = 0;
}

static int ask(struct proxy_leg *p, struct command *cmd, struct choice *choice)
{
    const char *which = choice->mode == SELECT_FREESPACE_PERCENT_MOST ? "percent/most" : "total";
    struct imap_response response;
    enum reply reply;
    int r = proxy_begin_once(p, cmd, pool_printf(cmd->pool, "GETMETADATA \"\" (\"" FREESPACE "%s\")", which));

    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED)
        if (imap_slice_is(response.word, "METADATA"))
            take_metadata(cmd, choice, &response);
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    return proxy_judge(p, cmd, response.rest.s, response.rest.n, NULL);
}

/* Higher is better; of a server that does not say there is nothing to hope. */
static double score_of(const struct choice *c)
{
    uint32_t random;

    if (c->mode == SELECT_RANDOM) {
        digest_random(&random, sizeof(random));
        return (double)random;
    }
    if (c->total_kib == 0)
        return -1;
    return c->mode == SELECT_FREESPACE_MOST ? (double)c->free_kib
                                            : (double)c->free_kib / (double)c->total_kib;
}

static void consider(struct choice *c, const char *server)
{
    double score = score_of(c);
    bool full = c->limit > 0 && c->total_kib > 0 &&
                (double)(c->total_kib - c->free_kib) * 100 > (double)c->total_kib * (double)c->limit;
    const char **best = full ? &c->best_full : &c->best;
    double *best_score = full ? &c->score_full : &c->score;

    if (*best == NULL || score > *best_score) {
        *best = server;
        *best_score = score;
    }
}

int proxy_choose(struct command *cmd, const struct str_list *servers, const char **server_r)
{
    struct choice *c = cmd->placing;

    if (c == NULL) {
        c = cmd->placing = pool_alloc(cmd->pool, sizeof(*c));
        c->mode = (enum opt_select_mode)opt_enum(OPT_SERVERLIST_SELECT_MODE);
        c->limit = (uint64_t)opt_int(OPT_SERVERLIST_SELECT_SOFT_USAGE_LIMIT);
    }
    for (; c->at < servers->count; c->at++) {
        const char *server = servers->items[c->at];
        struct leg *leg = client_leg(cmd->client, server);
        bool asks = leg != NULL && leg->server != NULL && (c->mode != SELECT_RANDOM || c->limit > 0);
        int r = asks && servers->count > 1 ? ask((struct proxy_leg *)leg, cmd, c) : 0;

        if (r == ERR_AGAIN)
            return r;
        if (r == 0 || r == ERR_REFUSED)
            consider(c, server);
        c->total_kib = 0;
    }
    *server_r = c->best != NULL ? c->best : c->best_full;
    if (*server_r == NULL)
        return ERR_UNAVAILABLE; /* cmd->failure is the last server's */
    cmd->failure = NULL;
    return 0;
}
