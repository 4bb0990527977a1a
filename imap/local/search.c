/* search.c: SEARCH (RFC 3501 6.4.4) with its return options (RFC 4731, 5182, 9394). */
#include "imap/local/search.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { SEARCH_BATCH = 8192, HITS_BATCH = 4096 };

struct search_state {
    struct local_leg *l;
    struct search_return ret;
    struct search_program program;
    struct search *search;
    struct uid_set hits; /* what the answer tells: UIDs or sequence numbers */
    struct uid_set uids; /* for `$`, where the hits are not UIDs */
    uint64_t highest;    /* mod-sequence of the hits, where it is asked for */
    struct search_answer answer;
    size_t range;  /* writing SEARCH: the range and the number in it */
    uint32_t next; /* 0: begin of the range */
};

static void search_cleanup(struct command *cmd)
{
    struct search_state *s = cmd->state;

    search_end(&s->search);
    search_program_free(&s->program);
    search_answer_free(&s->answer);
    uid_set_free(&s->hits);
    uid_set_free(&s->uids);
}

static bool saves(const struct search_state *s)
{
    return (s->ret.options & RETURN_SAVE) != 0;
}

/* A NO empties what was to be set (RFC 5182 section 2.1). */
static void forget_saved(struct search_state *s)
{
    if (saves(s))
        uid_set_free(&s->l->saved);
}

static enum step failed(struct command *cmd, int error)
{
    forget_saved(cmd->state);
    return command_error(cmd, error);
}

/* ---- the answer ---- */

/* Some thousand numbers are written one by one. */
static void put_number(struct buf *to, uint32_t n)
{
    char digits[12], *at = digits + sizeof(digits);

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    *--at = ' ';
    buf_append(to, at, (size_t)(digits + sizeof(digits) - at));
}

/* "* SEARCH 2 84 882", some thousand numbers a step. */
static enum step write_step(struct command *cmd)
{
    struct search_state *s = cmd->state;
    struct buf text = BUF_INIT;
    int i;

    for (i = 0; i < HITS_BATCH && s->range < s->hits.count; i++) {
        const struct uid_range *range = &s->hits.ranges[s->range];
        uint32_t n = s->next != 0 ? s->next : range->first;

        put_number(&text, n);
        s->next = n == range->last ? 0 : n + 1;
        s->range += n == range->last;
    }
    if (s->range == s->hits.count && s->program.modseq && s->highest != 0) /* RFC 7162 3.1.6 */
        buf_printf(&text, " (MODSEQ %llu)", (unsigned long long)s->highest);
    if (s->range == s->hits.count)
        buf_puts(&text, "\r\n");
    stream_write(cmd->client->stream, text.data, text.len);
    buf_free(&text);
    return s->range < s->hits.count ? STEP_MORE : command_ok(cmd, NULL, "Completed");
}

static enum step write_extended(struct command *cmd)
{
    struct search_state *s = cmd->state;

    return search_answer_write(&s->answer, cmd->client->stream) ? STEP_MORE
                                                                : command_ok(cmd, NULL, "Completed");
}

/* Of what MIN and MAX ask for, if it is nothing else; else of all hits (RFC 4731 3.2). */
static int add_modseq(struct command *cmd)
{
    struct search_state *s = cmd->state;
    unsigned what = s->ret.options & ~(unsigned)RETURN_SAVE;
    struct uid_set ends = UID_SET_INIT;
    uint64_t highest = s->highest;
    int r = 0;

    if (s->hits.count > 0 && (what & RETURN_MIN) != 0)
        r = uid_set_add(&ends, uid_set_first(&s->hits), uid_set_first(&s->hits));
    if (r == 0 && s->hits.count > 0 && (what & RETURN_MAX) != 0)
        r = uid_set_add(&ends, uid_set_last(&s->hits), uid_set_last(&s->hits));
    if (r == 0 && (what & ~(unsigned)(RETURN_MIN | RETURN_MAX)) == 0)
        r = local_highest_modseq(s->l, &ends, cmd->uid, &highest);
    if (r == 0 && highest != 0)
        s->answer.tail =
            pool_printf(cmd->pool, "%s MODSEQ %llu", s->answer.tail, (unsigned long long)highest);
    uid_set_free(&ends);
    return r;
}

static enum step answer(struct command *cmd)
{
    struct search_state *s = cmd->state;
    int r = 0;

    if (!s->ret.extended) {
        stream_puts(cmd->client->stream, "* SEARCH");
        cmd->step = write_step;
        return write_step(cmd);
    }
    if (saves(s))
        r = search_save(s->l, &s->ret, cmd->uid ? &s->hits : &s->uids);
    if (r == ERR_LIMIT)
        return command_no(cmd, "NOTSAVED", "Too many ranges of messages to be saved");
    if (s->ret.options == RETURN_SAVE)
        return command_ok(cmd, NULL, "Completed, result saved");
    if (r == 0)
        r = search_answer_begin(&s->answer, &s->ret, cmd->tag, "", cmd->uid, &s->hits);
    if (r == 0 && s->program.modseq)
        r = add_modseq(cmd);
    if (r < 0)
        return failed(cmd, r);
    cmd->step = write_extended;
    return write_extended(cmd);
}

/* ---- searching ---- */

/* Is one hit enough? */
static bool wants_first(const struct search_state *s)
{
    return (s->ret.options & ~(unsigned)RETURN_SAVE) == RETURN_MIN;
}

static int take_hit(void *context, const struct search_hit *hit)
{
    struct command *cmd = context;
    struct search_state *s = cmd->state;
    uint32_t n = cmd->uid ? hit->uid : hit->seq;
    int r = uid_set_add(&s->hits, n, n);

    if (r == 0 && saves(s) && !cmd->uid)
        r = uid_set_add(&s->uids, hit->uid, hit->uid);
    if (s->program.modseq && hit->seen->record.modseq > s->highest)
        s->highest = hit->seen->record.modseq;
    return r == 0 && wants_first(s) ? 1 : r;
}

static enum step search_some(struct command *cmd)
{
    struct search_state *s = cmd->state;
    int r = search_step(s->search, SEARCH_BATCH, take_hit, cmd);

    if (r < 0)
        return failed(cmd, r);
    if (r == 0)
        return answer(cmd);
    command_progress(cmd, cmd->done + SEARCH_BATCH, 0);
    return STEP_MORE;
}

static int parse(struct command *cmd, struct search_state *s, struct imap_args *args)
{
    static const unsigned allowed =
        RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT | RETURN_SAVE | RETURN_PARTIAL;
    int r = search_parse_return(args, allowed, &s->ret);

    s->program = (struct search_program){.pool = cmd->pool,
                                         .args = args,
                                         .view = s->l->view,
                                         .saved = &s->l->saved,
                                         .uid_only = local_enabled(s->l, ENABLED_UIDONLY)};
    if (r == 0)
        r = search_parse_charset(args, &s->program.charset);
    return r < 0 ? r : search_parse_keys(&s->program);
}

enum step local_search(struct command *cmd)
{
    struct search_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct imap_args args;
    int r;

    s->l = local_of(cmd);
    cmd->state = s;
    cmd->cleanup = search_cleanup;
    command_args(cmd, &args);
    r = parse(cmd, s, &args);
    if (r == ERR_SYNTAX)
        return search_bad(cmd, &s->program);
    if (r == ERR_UNSUPPORTED) {
        forget_saved(s);
        return search_bad_charset(cmd);
    }
    if (s->program.modseq)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    if (r == 0)
        r = search_begin(s->l->view, s->program.root, s->program.modseq ? SEARCH_RECORDS : SEARCH_NUMBERS,
                         &s->search);
    if (r < 0)
        return failed(cmd, r);
    cmd->step = search_some;
    return search_some(cmd);
}
