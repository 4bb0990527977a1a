#include "imap/session/notify-hub.h"

#include <pthread.h>
#include <string.h>

#include "imap/session/client.h"
#include "lib/base/buf.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/journal.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

/* Under the mutex. */
static struct {
    pthread_mutex_t mutex;
    struct mboxlist *list;
    struct notify_seat *seats;
    uint64_t number; /* rows up to this one have been looked at */
    bool tried;      /* to watch the list, */
    bool watching;   /* with success */
} hub = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- whom a row may concern: too many rather than too few ---- */

static bool is_of_tree(const char *name, const char *root)
{
    return *root != '\0' && (strcmp(name, root) == 0 || mboxname_is_below(name, root));
}

static bool acl_concerns(const struct notify_seat *seat, const char *acl)
{
    return strstr(acl, "anyone") != NULL || strstr(acl, "anonymous") != NULL ||
           (seat->is_member && strstr(acl, "group:") != NULL) ||
           (*seat->userid != '\0' && strstr(acl, seat->userid) != NULL);
}

static bool concerns(const struct notify_seat *seat, const struct journal_row *row)
{
    switch (row->kind) {
    case JOURNAL_NAME:
        return seat->is_admin || is_of_tree(row->name, seat->inbox) || is_of_tree(row->from, seat->inbox) ||
               acl_concerns(seat, row->acl_before) || acl_concerns(seat, row->acl_after);
    case JOURNAL_SUBSCRIPTION:
        return strcmp(row->userid, seat->userid) == 0;
    case JOURNAL_ANNOTATION:
        return *row->userid == '\0' || strcmp(row->userid, seat->userid) == 0;
    case JOURNAL_LOST:
        break;
    }
    return true;
}

static void wake(struct notify_seat *seat)
{
    if (!seat->pending)
        session_wake(seat->session);
    seat->pending = true;
}

static int take_row(const struct journal_row *row, void *unused)
{
    (void)unused;
    for (struct notify_seat *seat = hub.seats; seat != NULL; seat = seat->next)
        if (!seat->pending && row->number > seat->number && concerns(seat, row))
            wake(seat);
    hub.number = row->number;
    return 0;
}

static void look(void)
{
    uint64_t last;

    if (hub.seats == NULL || journal_last(hub.list, &last) < 0 || last == hub.number)
        return;
    if (journal_each(hub.list, hub.number, take_row, NULL) < 0) {
        for (struct notify_seat *seat = hub.seats; seat != NULL; seat = seat->next)
            wake(seat);
        hub.number = last;
    }
    for (struct notify_seat *seat = hub.seats; seat != NULL; seat = seat->next)
        if (!seat->pending)
            seat->number = hub.number;
}

static void list_changed(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&hub.mutex);
    look();
    pthread_mutex_unlock(&hub.mutex);
}

/* ---- sessions ---- */

static void watch_list(struct engine *e)
{
    struct buf path = BUF_INIT;

    hub.tried = true;
    journal_path(hub.list, &path);
    hub.watching = engine_watch_file(e, buf_cstr(&path), list_changed, NULL) == 0;
    buf_free(&path);
}

static void take_seat(struct client *c, struct notify_seat *seat)
{
    seat->session = c->session;
    seat->userid = c->identity->userid != NULL ? c->identity->userid : "";
    seat->inbox = c->ns->inbox;
    seat->is_admin = c->identity->is_admin;
    seat->is_member = c->identity->group_count > 0;
    seat->pending = false;
    seat->seated = true;
    seat->prev = NULL;
    seat->next = hub.seats;
    if (hub.seats != NULL)
        hub.seats->prev = seat;
    hub.seats = seat;
}

int notify_hub_join(struct client *c, struct notify_seat *seat, const struct notify_seat *before)
{
    int r;

    pthread_mutex_lock(&hub.mutex);
    hub.list = c->list;
    if (!hub.tried)
        watch_list(session_engine(c->session));
    r = journal_last(c->list, &seat->number);
    if (r == 0 && hub.seats == NULL)
        hub.number = seat->number;
    if (r == 0)
        take_seat(c, seat);
    if (r == 0 && before != NULL && before->seated) { /* others have looked at these rows already */
        seat->pending = before->number < seat->number;
        seat->number = before->number;
    }
    pthread_mutex_unlock(&hub.mutex);
    return r;
}

void notify_hub_leave(struct notify_seat *seat)
{
    pthread_mutex_lock(&hub.mutex);
    if (seat->seated) {
        if (seat->prev != NULL)
            seat->prev->next = seat->next;
        else
            hub.seats = seat->next;
        if (seat->next != NULL)
            seat->next->prev = seat->prev;
    }
    seat->seated = false;
    pthread_mutex_unlock(&hub.mutex);
}

bool notify_hub_take(struct notify_seat *seat, uint64_t *number_r)
{
    bool pending;

    pthread_mutex_lock(&hub.mutex);
    if (!hub.watching)
        look();
    pending = seat->pending;
    seat->pending = false;
    *number_r = seat->number;
    pthread_mutex_unlock(&hub.mutex);
    return pending;
}

void notify_hub_done(struct notify_seat *seat, uint64_t number)
{
    pthread_mutex_lock(&hub.mutex);
    if (number > seat->number)
        seat->number = number;
    pthread_mutex_unlock(&hub.mutex);
}

bool notify_hub_is_blind(void)
{
    bool blind;

    pthread_mutex_lock(&hub.mutex);
    blind = !hub.watching;
    pthread_mutex_unlock(&hub.mutex);
    return blind;
}
