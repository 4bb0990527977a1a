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
    struct session_file *files;
};

void watcher_init(struct watcher *w)
{
    pthread_mutex_init(&w->lock, NULL);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->size = 64;
    w->table = xcalloc(w->size, sizeof(struct watch *));
    w->hook_wd = -1;
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

static void file_attach(struct session_file *f, struct watch *watch)
{
    f->watch = watch;
    f->prev = NULL;
    f->next = watch->files;
    if (watch->files != NULL)
        watch->files->prev = f;
    watch->files = f;
}

static struct watch *file_detach(struct session_file *f)
{
    struct watch *watch = f->watch;

    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        watch->files = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    f->watch = NULL;
    return watch;
}

static void detach_and_drop(struct watcher *w, struct session_file *f)
{
    struct watch *watch = file_detach(f);

    if (watch->files != NULL)
        return;
    /* Fails if the kernel has dropped it by itself: the inode is gone. */
    inotify_rm_watch(w->fd, watch->wd);
    watch_free(w, watch);
}

/* ---- */

static int watch_path(struct watcher *w, struct session_file *f, const char *path)
{
    int wd = inotify_add_watch(w->fd, path, WATCH_EVENTS);

    if (f->watch != NULL && f->watch->wd == wd)
        return 0;
    if (f->watch != NULL)
        detach_and_drop(w, f);
    if (wd < 0)
        return errno == ENOSPC || errno == ENOMEM ? ERR_LIMIT : error_from_errno(errno);
    file_attach(f, watch_get(w, wd));
    return 0;
}

static void forget(struct session_file *f)
{
    struct watcher *w = &f->session->engine->watcher;

    pthread_mutex_lock(&w->lock);
    if (f->watch != NULL)
        detach_and_drop(w, f);
    pthread_mutex_unlock(&w->lock);
}

int session_file_watch(struct session_file *f, const char *path)
{
    struct watcher *w = &f->session->engine->watcher;
    int r;

    if (w->fd < 0)
        return ERR_LIMIT;
    pthread_mutex_lock(&w->lock);
    r = watch_path(w, f, path);
    pthread_mutex_unlock(&w->lock);
    return r;
}

struct session_file *session_file_new(struct session *s)
{
    struct session_file *f = xcalloc(1, sizeof(*f));

    f->session = s;
    return f;
}

bool session_file_take(struct session_file *f)
{
    return atomic_exchange_explicit(&f->changed, false, memory_order_acquire);
}

void session_file_free(struct session_file **fp)
{
    if (*fp == NULL)
        return;
    forget(*fp);
    free(*fp);
    *fp = NULL;
}

int session_watch_file(struct session *s, const char *path)
{
    if (path != NULL)
        return session_file_watch(&s->file, path);
    forget(&s->file);
    return 0;
}

void watcher_forget(struct session *s)
{
    forget(&s->file);
}

/* inotify gives one descriptor an inode: nobody else watches a file that is written to in its place. */
int engine_watch_file(struct engine *e, const char *path, void (*changed)(void *context), void *context)
{
    struct watcher *w = &e->watcher;
    int r = 0;

    if (w->fd < 0)
        return ERR_LIMIT;
    pthread_mutex_lock(&w->lock);
    BUG_ON(w->hook != NULL);
    w->hook_wd = inotify_add_watch(w->fd, path, IN_MODIFY);
    if (w->hook_wd < 0)
        r = errno == ENOSPC || errno == ENOMEM ? ERR_LIMIT : error_from_errno(errno);
    if (r == 0) {
        w->hook = changed;
        w->hook_context = context;
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

/* ---- the kernel's notices ---- */

static void wake_sessions(struct engine *e, struct watch *watch)
{
    for (struct session_file *f = watch->files; f != NULL; f = f->next) {
        struct seat *seat = f->session->seat;

        atomic_store_explicit(&f->changed, true, memory_order_release);
        session_event(e, seat, SEAT_GENERATION(atomic_load(&seat->state)), EVENT_FILE);
    }
}

/* The inode is gone, and with it the kernel's watch. */
static void watch_gone(struct engine *e, struct watch *watch)
{
    wake_sessions(e, watch);
    while (watch->files != NULL)
        file_detach(watch->files);
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
        w->hook_due = true;
    } else if (ev->wd == w->hook_wd) {
        w->hook_due = true;
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
    void (*hook)(void *context) = NULL;
    ssize_t n;

    while ((n = read(w->fd, buf, sizeof(buf))) > 0) {
        pthread_mutex_lock(&w->lock);
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *ev = (const struct inotify_event *)p;

            notice(e, ev);
            p += sizeof(*ev) + ev->len;
        }
        if (w->hook_due)
            hook = w->hook;
        w->hook_due = false;
        pthread_mutex_unlock(&w->lock);
    }
    if (hook != NULL)
        hook(w->hook_context);
}
