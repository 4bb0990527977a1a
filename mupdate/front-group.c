/* front-group.c: what members of a group say to one another, and its administrator to any of them. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "mupdate/front-private.h"

static void put_numbers(struct front *f, const char *tag, const char *word, const uint64_t *numbers,
                        unsigned count)
{
    struct buf out = BUF_INIT;

    buf_printf(&out, "%s %s", tag, word);
    for (unsigned i = 0; i < count; i++)
        buf_printf(&out, " \"%" PRIu64 "\"", numbers[i]);
    buf_puts(&out, "\r\n");
    front_put(f, &out);
    buf_free(&out);
}

/* Is there a group, and is this another member's session (or does it become one)? */
static bool is_member(struct front *f, const struct mupdate_line *line)
{
    if (f->server->group != NULL && !f->door->local && (f->member || str_ieq(line->word, "XMEMBER")))
        return true;
    front_answer(f, line->tag, "BAD", "for members of a group");
    return false;
}

/* What it wants changed is not sent on. */
void front_xmember(struct front *f, const struct mupdate_line *line)
{
    if (!is_member(f, line))
        return;
    f->member = true;
    front_answer(f, line->tag, "OK", "done");
}

void front_put_visible(struct front *f, const char *tag)
{
    put_numbers(f, tag, "OK", (const uint64_t[]){mupdate_group_visible(f->server->group)}, 1);
}

void front_xvisible(struct front *f, const struct mupdate_line *line)
{
    if (is_member(f, line))
        front_put_visible(f, line->tag);
}

/* A NOOP that tells how far we are. */
void front_xwhere(struct front *f, const struct mupdate_line *line)
{
    if (!is_member(f, line))
        return;
    if (!mupdate_group_leads(f->server->group)) {
        front_answer(f, line->tag, "NO", MUPDATE_NO_QUORUM "not elected");
        return;
    }
    f->where = true;
    front_noop(f, line);
}

static bool parse_numbers(const char *const *args, uint64_t *const *numbers, unsigned count)
{
    bool ok = true;

    for (unsigned i = 0; i < count; i++)
        ok = ok && str_parse_u64(args[i], strlen(args[i]), numbers[i]) == 0;
    return ok;
}

/* Is that the name of a member, as others will be told it?  Then it is copied. */
static bool take_name(char to[RAFT_NAME_MAX + 1], const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
            return false;
    return name[0] != '\0' && str_copy(to, RAFT_NAME_MAX + 1, name);
}

/* ---- votes ---- */

static void put_vote(struct front *f, const char *tag, const struct raft_vote *vote, uint64_t own,
                     bool member)
{
    struct buf out = BUF_INIT;

    buf_printf(&out, "%s OK \"%d\" \"%" PRIu64 "\" \"%" PRIu64 "\" \"%d\" \"%s\" \"%" PRIu64 "\"\r\n", tag,
               vote->granted, vote->term, own, member, vote->leader.name, vote->leader.id);
    front_put(f, &out);
    buf_free(&out);
}

void front_xvote(struct front *f, const struct mupdate_line *line)
{
    struct raft_ballot ballot;
    struct raft_vote vote;
    uint64_t epoch, own;
    bool member;

    if (!is_member(f, line))
        return;
    ballot.real = str_ieq(line->args[1], "real");
    if ((!ballot.real && !str_ieq(line->args[1], "would")) ||
        !parse_numbers(line->args, (uint64_t *const[]){&epoch}, 1) ||
        !parse_numbers(
            line->args + 2,
            (uint64_t *const[]){&ballot.term, &ballot.candidate, &ballot.last.term, &ballot.last.index}, 4))
        front_answer(f, line->tag, "BAD",
                     "Usage: XVOTE epoch real|would term candidate last-term last-index");
    else if (mupdate_group_vote(f->server->group, epoch, &ballot, &vote, &own, &member) < 0)
        front_answer(f, line->tag, "NO", MUPDATE_NO_QUORUM "not now");
    else
        put_vote(f, line->tag, &vote, own, member);
}

void front_xleads(struct front *f, const struct mupdate_line *line)
{
    struct raft_member leader;
    uint64_t epoch, term;

    if (!is_member(f, line))
        return;
    if (!parse_numbers(line->args, (uint64_t *const[]){&epoch, &term, &leader.id}, 3) || leader.id == 0 ||
        !take_name(leader.name, line->args[3]))
        front_answer(f, line->tag, "BAD", "Usage: XLEADS epoch term id name");
    else if (mupdate_group_hear(f->server->group, epoch, term, &leader) < 0)
        front_answer(f, line->tag, "NO", MUPDATE_NO_QUORUM "not now");
    else
        front_answer(f, line->tag, "OK", "done");
}

/* ---- those who follow ---- */

static void end_follow(struct front *f)
{
    hub_listen(f->place, f->subscribed);
    f->doing = IDLE;
}

static bool follow(struct front *f, bool first, bool late)
{
    struct buf out = BUF_INIT;
    int r = mupdate_group_fetch(f->server->group, f->fetch, first, late, f->tag, &out);

    if (r < 0)
        front_answer(f, f->tag, "NO", MUPDATE_NO_QUORUM "not elected");
    else if (r == 1)
        front_put(f, &out);
    buf_free(&out);
    if (r != 0)
        end_follow(f);
    return r != 0;
}

void front_xfollow(struct front *f, const struct mupdate_line *line)
{
    struct group_fetch *fetch = f->fetch;
    uint64_t joins, copying;

    if (!is_member(f, line))
        return;
    if (fetch == NULL)
        fetch = f->fetch = xmalloc(sizeof(*fetch));
    *fetch = (struct group_fetch){0};
    if (!parse_numbers(line->args + 1,
                       (uint64_t *const[]){&fetch->epoch, &fetch->who.who.id, &joins, &copying, &fetch->term,
                                           &fetch->last.term, &fetch->last.index, &fetch->who.round,
                                           &fetch->commit},
                       9) ||
        fetch->who.who.id == 0 || !take_name(fetch->who.who.name, line->args[0])) {
        front_answer(f, line->tag, "BAD",
                     "Usage: XFOLLOW member epoch id joins copying term last-term last-index round settled");
        return;
    }
    fetch->who.joins = joins != 0;
    fetch->who.copying = copying != 0;
    f->doing = FOLLOWING;
    str_copy(f->tag, sizeof(f->tag), line->tag);
    f->deadline = clock_deadline(MUPDATE_GROUP_FOLLOW_MS);
    hub_listen(f->place, true);
    follow(f, true, false);
}

bool front_follow_step(struct front *f)
{
    return follow(f, false, clock_left(f->deadline) == 0);
}

/* ---- copies ---- */

static const char *copy_text(int r)
{
    return r == ERR_UNAVAILABLE ? MUPDATE_NO_QUORUM "not elected" : error_text(r);
}

void front_xcopy(struct front *f, const struct mupdate_line *line)
{
    struct journal_entry members = JOURNAL_ENTRY_INIT;
    struct names_summary summary;
    struct buf out = BUF_INIT;
    uint64_t id, term;
    int r;

    if (!is_member(f, line))
        return;
    if (!parse_numbers(line->args, (uint64_t *const[]){&id, &term}, 2)) {
        front_answer(f, line->tag, "BAD", "Usage: XCOPY id term");
        return;
    }
    r = mupdate_group_copy(f->server->group, id, term, &summary);
    if (r < 0) {
        front_answer(f, line->tag, "NO", copy_text(r));
        return;
    }
    journal_members_put(&members, &summary.members);
    mupdate_group_put_rows(&members, line->tag, &out);
    front_put(f, &out);
    put_numbers(
        f, line->tag, "OK",
        (const uint64_t[]){summary.epoch, summary.sequence, summary.applied.term, summary.applied.index}, 4);
    journal_entry_free(&members);
    buf_free(&out);
}

void front_xrows(struct front *f, const struct mupdate_line *line)
{
    struct journal_entry rows = JOURNAL_ENTRY_INIT;
    struct buf after = BUF_INIT, out = BUF_INIT;
    uint64_t id, term, table;
    bool more;
    int r;

    if (!is_member(f, line))
        return;
    if (!parse_numbers(line->args, (uint64_t *const[]){&id, &term, &table}, 3) || table > NAMES_TABLE_LOG ||
        str_base64_decode(&after, line->args[3], strlen(line->args[3])) < 0 || after.len > DB_KEY_MAX) {
        front_answer(f, line->tag, "BAD", "Usage: XROWS id term table after");
        buf_free(&after);
        return;
    }
    r = mupdate_group_copy_rows(f->server->group, id, term, (unsigned)table,
                                &(struct db_value){after.data, after.len}, &rows, &more);
    if (r < 0) {
        front_answer(f, line->tag, "NO", copy_text(r));
    } else {
        mupdate_group_put_rows(&rows, line->tag, &out);
        front_put(f, &out);
        put_numbers(f, line->tag, "OK", (const uint64_t[]){more}, 1);
    }
    journal_entry_free(&rows);
    buf_free(&after);
    buf_free(&out);
}

/* ---- of a group's administrator ---- */

bool front_remove_step(struct front *f)
{
    int r;

    if (!mupdate_group_remove_done(f->server->group, f->ticket, &r))
        return false;
    front_answer(f, f->tag, r < 0 ? "NO" : "OK", mupdate_group_remove_text(r));
    end_follow(f);
    return true;
}

void front_xgroup(struct front *f, const struct mupdate_line *line)
{
    struct buf out = BUF_INIT;

    if (f->server->group == NULL || (line->count > 0 && !str_ieq(line->args[0], "REMOVE")) ||
        line->count == 1) {
        front_answer(f, line->tag, "BAD",
                     f->server->group == NULL ? "no member of a group" : "Usage: XGROUP [REMOVE member]");
        return;
    }
    if (line->count > 0) {
        str_copy(f->tag, sizeof(f->tag), line->tag);
        f->doing = REMOVING;
        hub_listen(f->place, true);
        f->ticket = mupdate_group_remove_ask(f->server->group, line->args[1]);
        return;
    }
    mupdate_group_describe(f->server->group, line->tag, &out);
    mupdate_put_line(&out, line->tag, "OK", "done", NULL);
    front_put(f, &out);
    buf_free(&out);
}
