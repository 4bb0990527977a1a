#include <string.h>

#include "imap/local/search.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

bool search_run_saves(const struct search_run *run)
{
    return (run->ret.options & RETURN_SAVE) != 0;
}

const struct uid_set *search_run_uids(const struct search_run *run)
{
    return run->uid ? &run->hits : &run->uids;
}

int search_run_parse(struct search_run *run, struct imap_args *args)
{
    static const unsigned allowed =
        RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT | RETURN_SAVE | RETURN_PARTIAL;
    int r = search_parse_return(args, allowed, &run->ret);

    run->program = (struct search_program){.pool = run->pool,
                                           .args = args,
                                           .view = run->view,
                                           .saved = run->saved,
                                           .userid = run->userid,
                                           .uid_only = run->uid_only,
                                           .utf8 = run->utf8};
    if (r == 0)
        r = search_parse_charset(&run->program);
    return r < 0 ? r : search_parse_keys(&run->program);
}

/* Is one hit enough? */
static bool wants_first(const struct search_run *run)
{
    return (run->ret.options & ~(unsigned)RETURN_SAVE) == RETURN_MIN;
}

static int take_hit(void *context, const struct search_hit *hit)
{
    struct search_run *run = context;
    uint32_t n = run->uid ? hit->uid : hit->seq;
    int r = uid_set_add(&run->hits, n, n);

    if (r == 0 && search_run_saves(run) && !run->uid)
        r = uid_set_add(&run->uids, hit->uid, hit->uid);
    if (run->program.modseq && hit->seen->record.modseq > run->highest)
        run->highest = hit->seen->record.modseq;
    return r == 0 && wants_first(run) ? 1 : r;
}

int search_run_step(struct search_run *run)
{
    int r = 0;

    if (run->search == NULL)
        r = search_begin(run->view, run->program.root, run->program.modseq ? SEARCH_RECORDS : SEARCH_NUMBERS,
                         &run->search);
    return r < 0 ? r : search_step(run->search, SEARCH_RUN_BATCH, take_hit, run);
}

/* Of what MIN and MAX ask for, if it is nothing else; else of all hits (RFC 4731 3.2). */
static int add_modseq(struct search_run *run)
{
    unsigned what = run->ret.options & ~(unsigned)RETURN_SAVE;
    struct uid_set ends = UID_SET_INIT;
    uint64_t highest = run->highest;
    int r = 0;

    if (run->hits.count > 0 && (what & RETURN_MIN) != 0)
        r = uid_set_add(&ends, uid_set_first(&run->hits), uid_set_first(&run->hits));
    if (r == 0 && run->hits.count > 0 && (what & RETURN_MAX) != 0)
        r = uid_set_add(&ends, uid_set_last(&run->hits), uid_set_last(&run->hits));
    if (r == 0 && (what & ~(unsigned)(RETURN_MIN | RETURN_MAX)) == 0)
        r = local_highest_modseq(run->view, &ends, run->uid, &highest);
    if (r == 0 && highest != 0)
        run->answer.tail =
            pool_printf(run->pool, "%s MODSEQ %llu", run->answer.tail, (unsigned long long)highest);
    uid_set_free(&ends);
    return r;
}

int search_run_answer(struct search_run *run, const char *tag, const char *correlator)
{
    int r = search_answer_begin(&run->answer, &run->ret, tag, correlator, run->uid, &run->hits);

    return r == 0 && run->program.modseq ? add_modseq(run) : r;
}

void search_run_end(struct search_run *run)
{
    search_end(&run->search);
    search_program_free(&run->program);
    search_answer_free(&run->answer);
    uid_set_free(&run->hits);
    uid_set_free(&run->uids);
    *run = (struct search_run){0};
}
