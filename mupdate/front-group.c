/* front-group.c: what members of a group say to one another, and its administrator to any of them. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
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
    struct names_position at, known = {0, 0};
    uint64_t round;

    mupdate_group_news(f->server->group, 0, &known, &round, &at);
    put_numbers(f, tag, "OK", (const uint64_t[]){at.term, at.sequence}, 2);
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

void front_xadopt(struct front *f, const struct mupdate_line *line)
{
    struct names_position its, own;
    uint64_t generation;

    if (!is_member(f, line))
        return;
    if (!parse_numbers(line->args, (uint64_t *const[]){&generation, &its.term, &its.sequence}, 3) ||
        generation > UINT32_MAX)
        front_answer(f, line->tag, "BAD", "Usage: XADOPT generation term sequence");
    else if (mupdate_group_adopt(f->server->group, (uint32_t)generation, &its, &own) < 0)
        front_answer(f, line->tag, "NO", MUPDATE_NO_QUORUM "not elected");
    else
        put_numbers(f, line->tag, "OK", (const uint64_t[]){own.term, own.sequence}, 2);
}

void front_xfollow(struct front *f, const struct mupdate_line *line)
{
    if (!is_member(f, line))
        return;
    if (!parse_numbers(line->args + 1, (uint64_t *const[]){&f->round, &f->known.term, &f->known.sequence},
                       3)) {
        front_answer(f, line->tag, "BAD", "Usage: XFOLLOW member round term sequence");
        return;
    }
    mupdate_group_note_follower(f->server->group, line->args[0], f->round);
    f->doing = FOLLOWING;
    str_copy(f->tag, sizeof(f->tag), line->tag);
    f->deadline = clock_deadline(MUPDATE_GROUP_FOLLOW_MS);
    hub_listen(f->place, true);
}

bool front_follow_step(struct front *f)
{
    struct names_position at;
    uint64_t round;

    if (!mupdate_group_news(f->server->group, f->round, &f->known, &round, &at) &&
        clock_left(f->deadline) != 0)
        return false;
    put_numbers(f, f->tag, "OK",
                (const uint64_t[]){round, at.term, at.sequence, conflicts_version(f->server->conflicts)},
                mupdate_group_leads(f->server->group) ? 4 : 1);
    hub_listen(f->place, f->subscribed);
    f->doing = IDLE;
    return true;
}

/* ---- of a group's administrator ---- */

static const char *remove_text(int r)
{
    return r == 0 ? "done" : r == ERR_BUSY ? "it is the elected one: stop it first" : error_text(r);
}

void front_xgroup(struct front *f, const struct mupdate_line *line)
{
    struct buf out = BUF_INIT;
    int r = 0;

    if (f->server->group == NULL || (line->count > 0 && !str_ieq(line->args[0], "REMOVE")) ||
        line->count == 1) {
        front_answer(f, line->tag, "BAD",
                     f->server->group == NULL ? "no member of a group" : "Usage: XGROUP [REMOVE member]");
        return;
    }
    if (line->count > 0)
        r = mupdate_group_remove(f->server->group, line->args[1]);
    else
        mupdate_group_describe(f->server->group, line->tag, &out);
    mupdate_put_line(&out, line->tag, r < 0 ? "NO" : "OK", remove_text(r), NULL);
    front_put(f, &out);
    buf_free(&out);
}
