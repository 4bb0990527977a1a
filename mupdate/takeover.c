/* takeover.c: a lone master's list becomes a group's, and back. */
#include "mupdate/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* The files of both, and what is held of them. */
struct places {
    char *lone, *group, *lone_owner, *group_owner, *members;
    struct lock *locks[2];
};

static struct places *places_new(const char *dir)
{
    struct places *p = xcalloc(1, sizeof(*p));

    p->lone = xstrprintf("%s/mupdate", dir);
    p->group = xstrprintf("%s/mupdate.group", dir);
    p->lone_owner = xstrprintf("%s/mupdate/owner", dir);
    p->group_owner = xstrprintf("%s/mupdate.group/owner", dir);
    p->members = xstrprintf("%s/mupdate.group.members", dir);
    return p;
}

static void places_free(struct places *p)
{
    lock_release(&p->locks[0]);
    lock_release(&p->locks[1]);
    free(p->lone);
    free(p->group);
    free(p->lone_owner);
    free(p->group_owner);
    free(p->members);
    free(p);
}

static bool has_database(const char *path)
{
    char *meta = xstrprintf("%s/meta.db", path);
    bool has = access(meta, F_OK) == 0;

    free(meta);
    return has;
}

static bool lone_has_list(const struct places *p)
{
    return has_database(p->lone);
}

/* A member that nobody has taken in yet has a database, too. */
static bool group_has_list(const struct places *p)
{
    return has_database(p->group) && access(p->members, F_OK) == 0;
}

/* Nobody owns either database.  Makes both directories. */
static int lock_both(struct places *p)
{
    const char *const owners[] = {p->lone_owner, p->group_owner};
    int r = 0;

    for (unsigned i = 0; i < 2 && r == 0; i++)
        r = lock_acquire_path(owners[i], 0, &p->locks[i]);
    return r == ERR_TIMEOUT ? ERR_BUSY : r;
}

static int move(const char *from, const char *to)
{
    if (rename(from, to) < 0)
        return errno == ENOTEMPTY ? ERR_EXISTS : error_from_errno(errno);
    return file_sync_parent(to);
}

/* The end, with its reason.  path: one of the places'. */
static int finish(struct places *p, int r, const char *path, const char *why, char **error_r)
{
    *error_r = r < 0 ? xstrprintf("%s: %s", path, why != NULL ? why : error_text(r)) : NULL;
    places_free(p);
    return r;
}

int takeover_by_group(const char *dir, char **error_r)
{
    struct places *p = places_new(dir);
    int r;

    if (!lone_has_list(p))
        return finish(p, ERR_NOTFOUND, p->lone, "there is no list", error_r);
    if (group_has_list(p))
        return finish(p, ERR_EXISTS, p->group, "there is a list already", error_r);
    r = lock_both(p);
    if (r < 0)
        return finish(p, r, p->lone, r == ERR_BUSY ? "mupdate runs" : NULL, error_r);
    r = file_remove_tree(p->group); /* of a member that was never taken in */
    if (r == 0)                     /* first: until there is a database it says nothing */
        r = takeover_note_members(dir, 1);
    if (r == 0)
        r = move(p->lone, p->group);
    return finish(p, r, p->lone, NULL, error_r);
}

/* 0: nobody knows. */
static uint64_t members(const char *path)
{
    struct buf text = BUF_INIT;
    uint64_t count = 0;

    if (file_read_all(path, 32, &text) != 0 || text.len == 0 ||
        str_parse_u64(text.data, text.len - 1, &count) != 0)
        count = 0;
    buf_free(&text);
    return count;
}

int takeover_by_one(const char *dir, bool forced, char **error_r)
{
    struct places *p = places_new(dir);
    int r;

    if (!group_has_list(p))
        return finish(p, ERR_NOTFOUND, p->group, "there is no list", error_r);
    if (lone_has_list(p))
        return finish(p, ERR_EXISTS, p->lone, "there is a list already", error_r);
    r = lock_both(p);
    if (r < 0)
        return finish(p, r, p->group, r == ERR_BUSY ? "mupdate runs" : NULL, error_r);
    if (!forced && members(p->members) != 1)
        return finish(p, ERR_CONFLICT, p->group, "the group has other members, as far as is known here",
                      error_r);
    r = file_remove_tree(p->lone);
    if (r == 0)
        r = move(p->group, p->lone);
    if (r == 0 && unlink(p->members) < 0)
        r = error_from_errno(errno);
    return finish(p, r, p->group, NULL, error_r);
}

int takeover_check(const char *dir, bool group, char **error_r)
{
    struct places *p = places_new(dir);
    const char *other = group ? p->lone : p->group;
    bool of_lone = lone_has_list(p), of_group = group_has_list(p);
    bool wrong = group ? of_lone && !of_group : of_group && !of_lone;

    *error_r = NULL;
    if (wrong)
        *error_r = xstrprintf("%s is the list of %s: ctl_mupdate %s takes it over; or move it away", other,
                              group ? "a lone master" : "a group", group ? "-n" : "-a");
    places_free(p);
    return wrong ? ERR_CONFIG : 0;
}

int takeover_note_members(const char *dir, unsigned count)
{
    char *path = xstrprintf("%s/mupdate.group.members", dir), *text = xstrprintf("%u\n", count);
    int r = file_replace(path, text, strlen(text), 0600);

    free(path);
    free(text);
    return r;
}
