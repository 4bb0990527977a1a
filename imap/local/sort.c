/* sort.c: SORT (RFC 5256) with the return options of ESORT (RFC 5267 section 3). */
#include "imap/local/sort.h"

#include <string.h>

#include "imap/local/search.h"
#include "imap/session/capability.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { SEARCH_BATCH = 4096, NUMBERS_BATCH = 4096 };

struct sort_state {
    struct local_leg *l;
    struct search_return ret;
    struct sort_criteria criteria;
    struct search_program program;
    struct search *search;
    struct sorter *sorter;
    struct uid_set uids; /* for `$`, and to know a MIN's or MAX's UID */
    uint64_t highest;    /* mod-sequence of the hits */
    size_t next;         /* writing */
};

static void sort_cleanup(struct command *cmd)
{
    struct sort_state *s = cmd->state;

    search_end(&s->search);
    search_program_free(&s->program);
    sorter_free(&s->sorter);
    uid_set_free(&s->uids);
}

static bool saves(const struct sort_state *s)
{
    return (s->ret.options & RETURN_SAVE) != 0;
}

static void forget_saved(struct sort_state *s)
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

/* How many numbers from i on follow one another upwards: a range (RFC 5267 section 3.2). */
static size_t run_length(const struct sorter *sorter, size_t i)
{
    size_t n = 1;

    while (i + n < sorter_count(sorter) && sorter_number(sorter, i + n) == sorter_number(sorter, i) + n)
        n++;
    return n;
}

static void put_numbers(struct sort_state *s, struct buf *to)
{
    for (int i = 0; i < NUMBERS_BATCH && s->next < sorter_count(s->sorter); i++) {
        buf_putc(to, ' ');
        buf_number(to, sorter_number(s->sorter, s->next++));
    }
}

static void put_set(struct sort_state *s, struct buf *to)
{
    for (int i = 0; i < NUMBERS_BATCH && s->next < sorter_count(s->sorter); i++) {
        size_t n = run_length(s->sorter, s->next);
        uint32_t first = sorter_number(s->sorter, s->next);

        buf_printf(to, s->next > 0 ? ",%u" : "%u", first);
        if (n > 1)
            buf_printf(to, ":%u", first + (uint32_t)n - 1);
        s->next += n;
    }
}

/* Raises *highest to the mod-sequence of the nth. */
static int raise_to(struct command *cmd, size_t n, uint64_t *highest)
{
    struct sort_state *s = cmd->state;
    uint32_t number = sorter_number(s->sorter, n);
    struct uid_range range = {number, number};
    struct uid_set one = {&range, 1, 1};
    uint64_t modseq;
    int r = local_highest_modseq(s->l->view, &one, cmd->uid, &modseq);

    if (r == 0 && modseq > *highest)
        *highest = modseq;
    return r;
}

/* RFC 7162 3.1.9: of what MIN and MAX ask for, if it is nothing else; else of all. */
static int put_modseq(struct command *cmd, struct buf *to)
{
    struct sort_state *s = cmd->state;
    unsigned what = s->ret.options & ~(unsigned)RETURN_SAVE;
    bool ends = s->ret.extended && (what & ~(unsigned)(RETURN_MIN | RETURN_MAX)) == 0;
    size_t count = sorter_count(s->sorter);
    uint64_t highest = ends ? 0 : s->highest;
    int r = 0;

    if (ends && count > 0 && (what & RETURN_MIN) != 0)
        r = raise_to(cmd, 0, &highest);
    if (r == 0 && ends && count > 0 && (what & RETURN_MAX) != 0)
        r = raise_to(cmd, count - 1, &highest);
    if (r == 0 && highest != 0)
        buf_printf(to, s->ret.extended ? " MODSEQ %llu" : " (MODSEQ %llu)", (unsigned long long)highest);
    return r;
}

static enum step write_step(struct command *cmd)
{
    struct sort_state *s = cmd->state;
    struct buf text = BUF_INIT;
    bool over;
    int r = 0;

    if (!s->ret.extended)
        put_numbers(s, &text);
    else if ((s->ret.options & RETURN_ALL) != 0)
        put_set(s, &text);
    else
        s->next = sorter_count(s->sorter);
    over = s->next == sorter_count(s->sorter);
    if (over && s->program.modseq)
        r = put_modseq(cmd, &text);
    if (over)
        buf_puts(&text, "\r\n");
    stream_write(cmd->client->stream, text.data, text.len);
    buf_free(&text);
    if (r < 0)
        return command_error(cmd, r);
    return over ? command_ok(cmd, NULL, "Completed") : STEP_MORE;
}

static void put_extended(struct command *cmd, struct sort_state *s)
{
    struct stream *out = cmd->client->stream;
    size_t count = sorter_count(s->sorter);

    stream_printf(out, "* ESEARCH (TAG \"%s\")%s", cmd->tag, cmd->uid ? " UID" : "");
    if ((s->ret.options & RETURN_MIN) != 0 && count > 0)
        stream_printf(out, " MIN %u", sorter_number(s->sorter, 0));
    if ((s->ret.options & RETURN_MAX) != 0 && count > 0)
        stream_printf(out, " MAX %u", sorter_number(s->sorter, count - 1));
    if ((s->ret.options & RETURN_COUNT) != 0)
        stream_printf(out, " COUNT %zu", count);
    if ((s->ret.options & RETURN_ALL) != 0 && count > 0)
        stream_puts(out, " ALL ");
}

/* One number of the answer as a UID. */
static int save_one(struct command *cmd, struct uid_set *to, uint32_t number)
{
    struct sort_state *s = cmd->state;

    return cmd->uid ? uid_set_add(to, number, number) : view_seqs_to_uids(s->l->view, number, number, to);
}

/* MIN and MAX are the first and the last in the order asked for; else all that was found is saved. */
static int save(struct command *cmd)
{
    struct sort_state *s = cmd->state;
    size_t count = sorter_count(s->sorter);
    struct uid_set ends = UID_SET_INIT;
    static const struct search_return all = {.options = RETURN_SAVE};
    int r = 0;

    if ((s->ret.options & (RETURN_MIN | RETURN_MAX)) == 0 ||
        (s->ret.options & (RETURN_ALL | RETURN_COUNT)) != 0)
        return search_save(s->l, &all, &s->uids);
    if (count > 0 && (s->ret.options & RETURN_MIN) != 0)
        r = save_one(cmd, &ends, sorter_number(s->sorter, 0));
    if (r == 0 && count > 0 && (s->ret.options & RETURN_MAX) != 0)
        r = save_one(cmd, &ends, sorter_number(s->sorter, count - 1));
    if (r == 0)
        r = search_save(s->l, &all, &ends);
    uid_set_free(&ends);
    return r;
}

static enum step answer(struct command *cmd)
{
    struct sort_state *s = cmd->state;
    int r = saves(s) ? save(cmd) : 0;

    if (r == ERR_LIMIT)
        return command_no(cmd, "NOTSAVED", "Too many ranges of messages to be saved");
    if (r < 0)
        return failed(cmd, r);
    if (s->ret.options == RETURN_SAVE)
        return command_ok(cmd, NULL, "Completed, result saved");
    if (s->ret.extended)
        put_extended(cmd, s);
    else
        stream_puts(cmd->client->stream, "* SORT");
    cmd->step = write_step;
    return write_step(cmd);
}

/* ---- searching and sorting ---- */

static enum step sort_some(struct command *cmd)
{
    struct sort_state *s = cmd->state;

    return sorter_step(s->sorter) > 0 ? STEP_MORE : answer(cmd);
}

static int take_hit(void *context, const struct search_hit *hit)
{
    struct command *cmd = context;
    struct sort_state *s = cmd->state;
    int r = sorter_add(s->sorter, hit, cmd->uid ? hit->uid : hit->seq);

    if (r == 0 && saves(s))
        r = uid_set_add(&s->uids, hit->uid, hit->uid);
    if (hit->seen->record.modseq > s->highest)
        s->highest = hit->seen->record.modseq;
    return r;
}

static enum step search_some(struct command *cmd)
{
    struct sort_state *s = cmd->state;
    int r = search_step(s->search, SEARCH_BATCH, take_hit, cmd);

    if (r == ERR_LIMIT) {
        forget_saved(s);
        return command_no(cmd, "LIMIT", "Too many messages to be sorted");
    }
    if (r < 0)
        return failed(cmd, r);
    if (r > 0)
        return STEP_MORE;
    cmd->step = sort_some;
    return STEP_MORE;
}

/* "RETURN (...) (criteria) charset keys" */
static int parse(struct command *cmd, struct sort_state *s, struct imap_args *args)
{
    static const unsigned allowed = RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT | RETURN_SAVE;
    int r = search_parse_return(args, capability_is_suppressed("ESORT") ? 0 : allowed, &s->ret);

    search_program_init(&s->program, cmd, args);
    if (r == 0)
        r = sort_parse(args, &s->criteria);
    if (r == 0)
        r = imap_args_space(args);
    if (r == 0)
        r = search_parse_bare_charset(&s->program);
    return r < 0 ? r : search_parse_keys(&s->program);
}

enum step local_sort(struct command *cmd)
{
    struct sort_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct imap_args args;
    int r;

    s->l = local_of(cmd);
    cmd->state = s;
    cmd->cleanup = sort_cleanup;
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
        r = search_begin(s->l->view, s->program.root, sort_wants(&s->criteria), &s->search);
    if (r < 0)
        return failed(cmd, r);
    s->criteria.view = s->l->view;
    s->criteria.userid = cmd->client->identity->userid;
    s->sorter = sorter_new(&s->criteria);
    search_read_if(s->search, sorter_needs, s->sorter);
    cmd->step = search_some;
    return search_some(cmd);
}
