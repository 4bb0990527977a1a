/* search.c: SEARCH (RFC 3501 6.4.4) with its return options (RFC 4731, 5182, 9394). */
#include "imap/local/search.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

enum { HITS_BATCH = 4096 };

struct search_state {
    struct local_leg *l;
    struct search_run run;
    size_t range;  /* writing SEARCH: the range and the number in it */
    uint32_t next; /* 0: begin of the range */
};

static void search_cleanup(struct command *cmd)
{
    struct search_state *s = cmd->state;

    search_run_end(&s->run);
}

/* A NO empties what was to be set (RFC 5182 section 2.1). */
static void forget_saved(struct search_state *s)
{
    if (search_run_saves(&s->run))
        uid_set_free(&s->l->saved);
}

static enum step failed(struct command *cmd, int error)
{
    forget_saved(cmd->state);
    return command_error(cmd, error);
}

/* ---- the answer ---- */

/* "* SEARCH 2 84 882", some thousand numbers a step. */
static enum step write_step(struct command *cmd)
{
    struct search_state *s = cmd->state;
    const struct uid_set *hits = &s->run.hits;
    struct buf text = BUF_INIT;
    int i;

    for (i = 0; i < HITS_BATCH && s->range < hits->count; i++) {
        const struct uid_range *range = &hits->ranges[s->range];
        uint32_t n = s->next != 0 ? s->next : range->first;

        buf_putc(&text, ' ');
        buf_number(&text, n);
        s->next = n == range->last ? 0 : n + 1;
        s->range += n == range->last;
    }
    if (s->range == hits->count && s->run.program.modseq && s->run.highest != 0) /* RFC 7162 3.1.6 */
        buf_printf(&text, " (MODSEQ %llu)", (unsigned long long)s->run.highest);
    if (s->range == hits->count)
        buf_puts(&text, "\r\n");
    stream_write(cmd->client->stream, text.data, text.len);
    buf_free(&text);
    return s->range < hits->count ? STEP_MORE : command_ok(cmd, NULL, "Completed");
}

static enum step write_extended(struct command *cmd)
{
    struct search_state *s = cmd->state;

    return search_answer_write(&s->run.answer, cmd->client->stream) ? STEP_MORE
                                                                    : command_ok(cmd, NULL, "Completed");
}

static enum step answer(struct command *cmd)
{
    struct search_state *s = cmd->state;
    int r = 0;

    if (!s->run.ret.extended) {
        stream_puts(cmd->client->stream, "* SEARCH");
        cmd->step = write_step;
        return write_step(cmd);
    }
    if (search_run_saves(&s->run))
        r = search_save(s->l, &s->run.ret, search_run_uids(&s->run));
    if (r == ERR_LIMIT)
        return command_no(cmd, "NOTSAVED", "Too many ranges of messages to be saved");
    if (s->run.ret.options == RETURN_SAVE)
        return command_ok(cmd, NULL, "Completed, result saved");
    if (r == 0)
        r = search_run_answer(&s->run, cmd->tag, "");
    if (r < 0)
        return failed(cmd, r);
    cmd->step = write_extended;
    return write_extended(cmd);
}

/* ---- searching ---- */

static enum step search_some(struct command *cmd)
{
    struct search_state *s = cmd->state;
    int r = search_run_step(&s->run);

    if (r < 0)
        return failed(cmd, r);
    if (r == 0)
        return answer(cmd);
    command_progress(cmd, cmd->done + SEARCH_RUN_BATCH, 0);
    return STEP_MORE;
}

enum step local_search(struct command *cmd)
{
    struct search_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct imap_args args;
    int r;

    s->l = local_of(cmd);
    s->run = (struct search_run){.view = s->l->view,
                                 .pool = cmd->pool,
                                 .saved = &s->l->saved,
                                 .uid = cmd->uid,
                                 .userid = cmd->client->identity->userid,
                                 .uid_only = local_enabled(s->l, ENABLED_UIDONLY),
                                 .utf8 = local_enabled(s->l, ENABLED_UTF8)};
    cmd->state = s;
    cmd->cleanup = search_cleanup;
    command_args(cmd, &args);
    r = search_run_parse(&s->run, &args);
    if (!s->run.ret.extended && local_enabled(s->l, ENABLED_IMAP4REV2)) /* RFC 9051 6.4.4 */
        s->run.ret = (struct search_return){.extended = true, .options = RETURN_ALL};
    if (r == ERR_SYNTAX)
        return search_bad(cmd, &s->run.program);
    if (r == ERR_UNSUPPORTED) {
        forget_saved(s);
        return search_bad_charset(cmd);
    }
    if (r < 0)
        return failed(cmd, r);
    if (s->run.program.modseq)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    cmd->step = search_some;
    return search_some(cmd);
}
