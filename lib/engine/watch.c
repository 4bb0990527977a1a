/* Watched files: one inotify instance a process, one watch an inode, shared by the sessions
 * that look at it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"

/* An unlinked or replaced file shows as IN_ATTRIB (its link count), as others may hold it open. */
enum { WATCH_EVENTS = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF };

struct watch {
    struct watch *next; /* in its hash bucket */
    int wd;
    struct session *sessions;
};

void watcher_init(struct watcher *w)
{
    pthread_mutex_init(&w->lock, NULL);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->size = 64;
    w->table = xcalloc(w->size, sizeof(struct watch *));
}

void watcher_free(struct watcher *w)
{
    BUG_ON(w->count != 0);
    if (w->fd >= 0)
        close(w->fd);
    free(w->table);
    pthread_mutex_destroy(&w->lock);
}

/* ---- the table, under the lock ---- */

static struct watch **bucket(struct watcher *w, int wd)
{
    return &w->table[(unsigned)wd % w->size];
}

static struct watch *watch_find(struct watcher *w, int wd)
{
    struct watch *p = *bucket(w, wd);

    while (p != NULL && p->wd != wd)
        p = p->next;
    return p;
}

static void table_grow(struct watcher *w)
{
    struct watch **old = w->table;
    size_t old_size = w->size;

    w->size *= 2;
    w->table = xcalloc(w->size, sizeof(struct watch *));
    for (size_t i = 0; i < old_size; i++) {
        for (struct watch *p = old[i], *next; p != NULL; p = next) {
            next = p->next;
            p->next = *bucket(w, p->wd);
            *bucket(w, p->wd) = p;
        }
    }
    free(old);
}

static struct watch *watch_get(struct watcher *w, int wd)
{
    struct watch *p = watch_find(w, wd);

    if (p != NULL)
        return p;
    if (w->count >= w->size)
        table_grow(w);
    p = xcalloc(1, sizeof(*p));
    p->wd = wd;
    p->next = *bucket(w, wd);
    *bucket(w, wd) = p;
    w->count++;
    return p;
}

static void watch_free(struct watcher *w, struct watch *watch)
{
    struct watch **at = bucket(w, watch->wd);

    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    w->count--;
    free(watch);
}

static void session_attach(struct session *s, struct watch *watch)
{
    s->watch = watch;
    s->watch_prev = NULL;
    s->watch_next = watch->sessions;
    if (watch->sessions != NULL)
        watch->sessions->watch_prev = s;
    watch->sessions = s;
}

static struct watch *session_detach(struct session *s)
{
    struct watch *watch = s->watch;

    if (s->watch_prev != NULL)
        s->watch_prev->watch_next = s->watch_next;
    else
        watch->sessions = s->watch_next;
    if (s->watch_next != NULL)
        s->watch_next->watch_prev = s->watch_prev;
    s->watch = NULL;
    return watch;
}

static void detach_and_drop(struct watcher *w, struct session *s)
{
    struct watch *watch = session_detach(s);

    if (watch->sessions != NULL)
        return;
    /* Fails if the kernel has dropped it by itself: the inode is gone. */
    inotify_rm_watch(w->fd, watch->wd);
    watch_free(w, watch);
}

/* ---- */

static int watch_path(struct watcher *w, struct session *s, const char *path)
{
    int wd = inotify_add_watch(w->fd, path, WATCH_EVENTS);

    if (s->watch != NULL && s->watch->wd == wd)
        return 0;
    if (s->watch != NULL)
        detach_and_drop(w, s);
    if (wd < 0)
        return errno == ENOSPC || errno == ENOMEM ? ERR_LIMIT : error_from_errno(errno);
    session_attach(s, watch_get(w, wd));
    return 0;
}

int session_watch_file(struct session *s, const char *path)
{
    struct watcher *w = &s->engine->watcher;
    int r = 0;

    if (path == NULL) {
        watcher_forget(s);
        return 0;
    }
    if (w->fd < 0)
        return ERR_LIMIT;
    pthread_mutex_lock(&w->lock);
    r = watch_path(w, s, path);
    pthread_mutex_unlock(&w->lock);
    return r;
}

void watcher_forget(struct session *s)
{
    struct watcher *w = &s->engine->watcher;

    pthread_mutex_lock(&w->lock);
    if (s->watch != NULL)
        detach_and_drop(w, s);
    pthread_mutex_unlock(&w->lock);
}

/* ---- the kernel's notices ---- */

static void wake_sessions(struct engine *e, struct watch *watch)
{
    for (struct session *s = watch->sessions; s != NULL; s = s->watch_next)
        session_event(e, s->seat, SEAT_GENERATION(atomic_load(&s->seat->state)), EVENT_FILE);
}

/* The inode is gone, and with it the kernel's watch. */
static void watch_gone(struct engine *e, struct watch *watch)
{
    wake_sessions(e, watch);
    while (watch->sessions != NULL)
        session_detach(watch->sessions);
    watch_free(&e->watcher, watch);
}

static void notice(struct engine *e, const struct inotify_event *ev)
{
    struct watcher *w = &e->watcher;
    struct watch *watch = watch_find(w, ev->wd);

    if (ev->mask & IN_Q_OVERFLOW) {
        for (size_t i = 0; i < w->size; i++)
            for (struct watch *p = w->table[i]; p != NULL; p = p->next)
                wake_sessions(e, p);
    } else if (watch == NULL) {
        return; /* nobody looks any more */
    } else if (ev->mask & IN_IGNORED) {
        watch_gone(e, watch);
    } else {
        wake_sessions(e, watch);
    }
}

void watcher_run(struct engine *e)
{
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    struct watcher *w = &e->watcher;
    ssize_t n;

    while ((n = read(w->fd, buf, sizeof(buf))) > 0) {
        pthread_mutex_lock(&w->lock);
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *ev = (const struct inotify_event *)p;

            notice(e, ev);
            p += sizeof(*ev) + ev->len;
        }
        pthread_mutex_unlock(&w->lock);
    }
}
