#include "cunit/imap/mboxop/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { ENTRIES = 100 };

struct entry {
    enum mupdate_state state;
    char name[128], location[64], acl[256], details[256];
};

struct master {
    bool up;
    uint64_t connections;
    int fail_after;
    struct entry entries[ENTRIES];
};

struct mupdate_request {
    int result;
    enum mupdate_state state;
    char location[64], acl[256];
    const char *text;
    bool asked; /* the first question finds it under way */
    void (*wake)(void *context);
    void *context;
};

static struct master *master;

void fake_reset(void)
{
    if (master == NULL)
        master = mmap(NULL, sizeof(*master), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BUG_ON(master == MAP_FAILED);
    memset(master, 0, sizeof(*master));
    master->up = true;
    master->connections = 1;
    master->fail_after = -1;
}

void fake_set_up(bool up)
{
    master->connections += up && !master->up;
    master->up = up;
}

void fake_fail_after(int requests)
{
    master->fail_after = requests;
}

struct mupdate_link *fake_link(void)
{
    return (struct mupdate_link *)(void *)master;
}

static struct entry *find(const char *name)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (master->entries[i].state != MUPDATE_ABSENT && strcmp(master->entries[i].name, name) == 0)
            return &master->entries[i];
    return NULL;
}

void fake_put(const char *name, enum mupdate_state state, const char *location, const char *acl)
{
    struct entry *e = find(name);

    for (size_t i = 0; e == NULL && i < ENTRIES; i++)
        if (master->entries[i].state == MUPDATE_ABSENT)
            e = &master->entries[i];
    BUG_ON(e == NULL);
    e->state = state;
    BUG_ON(!str_copy(e->name, sizeof(e->name), name));
    BUG_ON(!str_copy(e->location, sizeof(e->location), location));
    BUG_ON(!str_copy(e->acl, sizeof(e->acl), acl != NULL ? acl : ""));
    e->details[0] = '\0';
}

enum mupdate_state fake_state(const char *name)
{
    struct entry *e = find(name);

    return e != NULL ? e->state : MUPDATE_ABSENT;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void fake_dump(struct buf *to)
{
    char *lines[ENTRIES];
    size_t n = 0;

    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &master->entries[i];

        if (e->state != MUPDATE_ABSENT)
            lines[n++] = xstrprintf("%s %s %s\n", e->name, e->location,
                                    e->state == MUPDATE_IS_RESERVED ? "(reserved)" : e->acl);
    }
    qsort(lines, n, sizeof(lines[0]), by_name);
    for (size_t i = 0; i < n; i++) {
        buf_puts(to, lines[i]);
        free(lines[i]);
    }
}

/* ---- what the master does (RFC 3656, and the design's stricter ACTIVATE) ---- */

static bool same_server(const char *a, const char *b)
{
    size_t n = strcspn(a, "!");

    return n == strcspn(b, "!") && strncmp(a, b, n) == 0;
}

static int execute(struct mupdate_request *r, enum mupdate_verb verb, const char *name, const char *location,
                   const char *acl)
{
    struct entry *e = find(name);

    switch (verb) {
    case MUPDATE_RESERVE:
        if (e != NULL && !same_server(e->location, location))
            return ERR_CONFLICT;
        fake_put(name, MUPDATE_IS_RESERVED, location, NULL);
        return 0;
    case MUPDATE_ACTIVATE:
        if (e != NULL && e->state == MUPDATE_ACTIVE && !same_server(e->location, location))
            return ERR_CONFLICT;
        fake_put(name, MUPDATE_ACTIVE, location, acl);
        return 0;
    case MUPDATE_DELETE:
        if (e != NULL)
            e->state = MUPDATE_ABSENT;
        return 0;
    case MUPDATE_FIND:
        if (e != NULL) {
            r->state = e->state;
            str_copy(r->location, sizeof(r->location), e->location);
            str_copy(r->acl, sizeof(r->acl), e->acl);
        }
        return 0;
    case MUPDATE_DEACTIVATE:
    case MUPDATE_NOOP:
        break;
    }
    return ERR_PROTOCOL;
}

/* ---- lib/mupdate/link.h ---- */

bool mupdate_link_is_up(struct mupdate_link *link)
{
    (void)link;
    return master->up;
}

uint64_t mupdate_link_connections(struct mupdate_link *link)
{
    (void)link;
    return master->connections;
}

struct mupdate_request *mupdate_send(struct mupdate_link *link, enum mupdate_verb verb, const char *name,
                                     const char *location, const char *acl, void (*wake)(void *context),
                                     void *context)
{
    struct mupdate_request *r = xcalloc(1, sizeof(*r));

    (void)link;
    r->wake = wake;
    r->context = context;
    if (master->fail_after == 0)
        master->up = false;
    if (master->fail_after > 0)
        master->fail_after--;
    r->result = master->up ? execute(r, verb, name, location, acl) : ERR_UNAVAILABLE;
    r->text = r->result == ERR_CONFLICT ? "mailbox already exists"
              : r->result != 0          ? "connection lost"
                                        : "done";
    return r;
}

bool mupdate_request_done(struct mupdate_request *request)
{
    if (request->asked)
        return true;
    request->asked = true;
    if (request->wake != NULL)
        request->wake(request->context);
    return false;
}

int mupdate_request_result(const struct mupdate_request *request)
{
    return request->result;
}

const char *mupdate_request_text(const struct mupdate_request *request)
{
    return request->text;
}

enum mupdate_state mupdate_request_state(const struct mupdate_request *request)
{
    return request->state;
}

const char *mupdate_request_location(const struct mupdate_request *request)
{
    return request->location;
}

void mupdate_request_free(struct mupdate_request **request)
{
    free(*request);
    *request = NULL;
}

bool mupdate_request_wait(struct mupdate_request *request, int64_t deadline)
{
    (void)deadline;
    request->asked = true;
    return true;
}

int mupdate_call(struct mupdate_link *link, enum mupdate_verb verb, const char *name, const char *location,
                 const char *acl, int64_t deadline, struct buf *text)
{
    struct mupdate_request *r = mupdate_send(link, verb, name, location, acl, NULL, NULL);
    int result = r->result;

    (void)deadline;
    if (text != NULL)
        buf_puts(text, r->text);
    mupdate_request_free(&r);
    return result;
}

struct mupdate_request *mupdate_activate(struct mupdate_link *link, const char *name, const char *location,
                                         const char *acl, const struct mupdate_details *details,
                                         void (*wake)(void *context), void *context)
{
    struct mupdate_request *r = mupdate_send(link, MUPDATE_ACTIVATE, name, location, acl, wake, context);
    struct entry *e = find(name);

    if (e != NULL && r->result == 0)
        snprintf(e->details, sizeof(e->details), "%s %s %s", details->id, details->type,
                 details->special_use);
    return r;
}

const char *fake_details(const char *name)
{
    const struct entry *e = find(name);

    return e != NULL ? e->details : "";
}

int mupdate_list(struct mupdate_link *link, const char *prefix,
                 int (*fn)(const struct mupdate_entry *entry, void *context), void *context, int64_t deadline)
{
    (void)link;
    (void)deadline;
    if (!master->up)
        return ERR_UNAVAILABLE;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &master->entries[i];
        const struct mupdate_entry entry = {e->state, e->name, e->location, e->acl, NULL};

        if (e->state != MUPDATE_ABSENT && (prefix == NULL || str_has_prefix(e->location, prefix)) &&
            fn(&entry, context) != 0)
            break;
    }
    return 0;
}
