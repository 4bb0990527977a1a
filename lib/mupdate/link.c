/* link.c: the process's connection to a MUPDATE server, shared by all its threads.
 *
 * Callers queue requests under the mutex and wake the link's thread; the thread alone touches the connection.
 * Requests are done under the mutex, and so are the calls of wake(): when mupdate_request_free() has the mutex,
 * no wake() is running. */
#include "lib/mupdate/link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mupdate/link-private.h"

enum {
    ANSWER_MS = 30 * 1000,
    IDLE_MS = 10 * 60 * 1000, /* then a NOOP shows whether the server is still there */
    KICK_MS = 100,            /* between attempts that requests ask for */
    IN_FLIGHT_MAX = 256,
    LINK_MAGIC = 0x7bda7e11,
    REQUEST_MAGIC = 0x7bda7e12
};

enum verb { VERB_LIST = MUPDATE_NOOP + 1 }; /* and the public ones */

struct mupdate_request {
    unsigned magic;
    struct mupdate_link *link;
    struct mupdate_request *next; /* in a queue */
    int verb;
    char *name, *location, *acl;
    bool detailed;
    char *id, *type, *special_use; /* the details */
    bool finding;                  /* DELETE and DEACTIVATE: the FIND before is under way */
    bool done, forgotten;
    uint64_t number; /* of its tag */
    int64_t deadline;
    void (*wake)(void *context);
    void *context;
    int result;
    char *text;
    enum mupdate_state state;
    char *found_location, *found_acl;
    int (*entry)(const struct mupdate_entry *entry, void *context); /* LIST's */
};

struct queue {
    struct mupdate_request *first, **last;
    size_t count;
};

enum link_state { CONNECTING, UP, AWAY };

struct mupdate_link {
    unsigned magic;
    struct mupdate_link_config config;
    struct mupdate_servers servers; /* the thread's */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a request is done, or the state is another */
    atomic_bool stop;
    enum link_state state;
    bool calling;           /* LIST's callback is running, without the mutex */
    struct buf why;         /* the last failure */
    int failure;            /* its code */
    int64_t tried;          /* when connecting was last begun */
    struct queue waiting;   /* to be sent */
    struct queue in_flight; /* sent, in that order */
    struct queue barriers;  /* to be answered by the next NOOP */
    struct queue barriers_sent;
    uint64_t barrier_number; /* of the NOOP under way; 0: none */
    int64_t barrier_deadline;
    uint64_t connections; /* there have been */
    uint64_t number;      /* of the last tag */
    int64_t heard;        /* when the server last said something */
    struct mupdate_backoff backoff;
    bool has_details; /* the thread's: the server has X-DETAILS */
    char *told;       /* the thread's: why the server is away, as it stands in the log; NULL: it is not */
};

/* ---- queues ---- */

static void queue_init(struct queue *q)
{
    *q = (struct queue){NULL, &q->first, 0};
}

static void queue_put(struct queue *q, struct mupdate_request *r)
{
    r->next = NULL;
    *q->last = r;
    q->last = &r->next;
    q->count++;
}

static struct mupdate_request *queue_take(struct queue *q)
{
    struct mupdate_request *r = q->first;

    if (r == NULL)
        return NULL;
    q->first = r->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->count--;
    return r;
}

/* ---- requests, under the mutex ---- */

static void destroy_request(struct mupdate_request *r)
{
    r->magic = 0;
    free(r->name);
    free(r->location);
    free(r->acl);
    free(r->id);
    free(r->type);
    free(r->special_use);
    free(r->text);
    free(r->found_location);
    free(r->found_acl);
    free(r);
}

static void finish(struct mupdate_request *r, int result, const char *text)
{
    if (r->forgotten) {
        destroy_request(r);
        return;
    }
    r->result = result;
    r->text = xstrdup(text);
    r->done = true;
    pthread_cond_broadcast(&r->link->changed);
    if (r->wake != NULL)
        r->wake(r->context);
}

static void finish_all(struct queue *q, int result, const char *text)
{
    struct mupdate_request *r;

    while ((r = queue_take(q)) != NULL)
        finish(r, result, text);
}

static char *copy(const char *s)
{
    return s == NULL ? NULL : xstrdup(s);
}

static struct mupdate_request *new_request(struct mupdate_link *link, int verb, void (*wake)(void *context),
                                           void *context)
{
    struct mupdate_request *r = xcalloc(1, sizeof(*r));

    r->magic = REQUEST_MAGIC;
    r->link = link;
    r->verb = verb;
    r->wake = wake;
    r->context = context;
    return r;
}

static void wake_thread(struct mupdate_link *link)
{
    uint64_t one = 1;

    if (write(link->config.conn.wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

/* Puts a request into its queue; while the server is away it waits for an attempt of its own. */
static void submit(struct mupdate_link *link, struct mupdate_request *r, struct queue *q)
{
    pthread_mutex_lock(&link->mutex);
    if (link->state == AWAY) {
        link->state = CONNECTING;
        pthread_cond_broadcast(&link->changed);
    }
    if (atomic_load(&link->stop))
        finish(r, ERR_UNAVAILABLE, "stopping");
    else
        queue_put(q, r);
    pthread_mutex_unlock(&link->mutex);
    wake_thread(link);
}

static struct mupdate_request *new_change(struct mupdate_link *link, enum mupdate_verb verb, const char *name,
                                          const char *location, const char *acl, void (*wake)(void *context),
                                          void *context)
{
    struct mupdate_request *r;

    MAGIC_CHECK(link, LINK_MAGIC);
    BUG_ON(verb != MUPDATE_NOOP && name == NULL);
    r = new_request(link, (int)verb, wake, context);
    r->name = copy(name);
    r->location =
        copy(location == NULL && (verb == MUPDATE_RESERVE || verb == MUPDATE_ACTIVATE) ? "" : location);
    r->acl = copy(acl == NULL && verb == MUPDATE_ACTIVATE ? "" : acl);
    return r;
}

struct mupdate_request *mupdate_send(struct mupdate_link *link, enum mupdate_verb verb, const char *name,
                                     const char *location, const char *acl, void (*wake)(void *context),
                                     void *context)
{
    struct mupdate_request *r = new_change(link, verb, name, location, acl, wake, context);

    submit(link, r, &link->waiting);
    return r;
}

struct mupdate_request *mupdate_activate(struct mupdate_link *link, const char *name, const char *location,
                                         const char *acl, const struct mupdate_details *details,
                                         void (*wake)(void *context), void *context)
{
    struct mupdate_request *r = new_change(link, MUPDATE_ACTIVATE, name, location, acl, wake, context);

    r->detailed = true;
    r->id = xstrdup(details->id != NULL ? details->id : "");
    r->type = xstrdup(details->type != NULL ? details->type : "");
    r->special_use = xstrdup(details->special_use != NULL ? details->special_use : "");
    submit(link, r, &link->waiting);
    return r;
}

struct mupdate_request *mupdate_barrier(struct mupdate_link *link, void (*wake)(void *context), void *context)
{
    struct mupdate_request *r;

    MAGIC_CHECK(link, LINK_MAGIC);
    r = new_request(link, MUPDATE_NOOP, wake, context);
    submit(link, r, &link->barriers);
    return r;
}

bool mupdate_request_done(struct mupdate_request *r)
{
    bool done;

    MAGIC_CHECK(r, REQUEST_MAGIC);
    pthread_mutex_lock(&r->link->mutex);
    done = r->done;
    pthread_mutex_unlock(&r->link->mutex);
    return done;
}

int mupdate_request_result(const struct mupdate_request *r)
{
    MAGIC_CHECK(r, REQUEST_MAGIC);
    return r->result;
}

const char *mupdate_request_text(const struct mupdate_request *r)
{
    return r->text == NULL ? "" : r->text;
}

enum mupdate_state mupdate_request_state(const struct mupdate_request *r)
{
    return r->state;
}

const char *mupdate_request_location(const struct mupdate_request *r)
{
    return r->found_location == NULL ? "" : r->found_location;
}

const char *mupdate_request_acl(const struct mupdate_request *r)
{
    return r->found_acl == NULL ? "" : r->found_acl;
}

void mupdate_request_free(struct mupdate_request **rp)
{
    struct mupdate_request *r = *rp;
    struct mupdate_link *link;

    if (r == NULL)
        return;
    MAGIC_CHECK(r, REQUEST_MAGIC);
    *rp = NULL;
    link = r->link;
    pthread_mutex_lock(&link->mutex);
    while (link->calling && !r->done && r->verb == VERB_LIST)
        pthread_cond_wait(&link->changed, &link->mutex);
    if (r->done)
        destroy_request(r);
    else
        r->forgotten = true;
    pthread_mutex_unlock(&link->mutex);
}

static void wait_changed(struct mupdate_link *link, int64_t deadline)
{
    struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};

    if (deadline == CLOCK_NEVER)
        pthread_cond_wait(&link->changed, &link->mutex);
    else
        pthread_cond_timedwait(&link->changed, &link->mutex, &until);
}

bool mupdate_request_wait(struct mupdate_request *r, int64_t deadline)
{
    struct mupdate_link *link = r->link;
    bool done;

    pthread_mutex_lock(&link->mutex);
    while (!r->done && clock_left(deadline) != 0)
        wait_changed(link, deadline);
    done = r->done;
    pthread_mutex_unlock(&link->mutex);
    return done;
}

/* ---- the thread: sending ---- */

static const char *const verb_words[] = {
    [MUPDATE_RESERVE] = "RESERVE", [MUPDATE_ACTIVATE] = "ACTIVATE", [MUPDATE_DEACTIVATE] = "DEACTIVATE",
    [MUPDATE_DELETE] = "DELETE",   [MUPDATE_FIND] = "FIND",         [MUPDATE_NOOP] = "NOOP",
    [VERB_LIST] = "LIST",
};

static bool needs_find(const struct mupdate_request *r)
{
    return r->verb == MUPDATE_DELETE || r->verb == MUPDATE_DEACTIVATE;
}

static void write_request(struct mupdate_link *link, struct mupdate_request *r, struct buf *out)
{
    const char *args[3] = {r->name, r->location, r->acl};
    char tag[24];

    r->number = ++link->number;
    r->deadline = clock_deadline(link->config.answer_ms);
    snprintf(tag, sizeof(tag), "X%llu", (unsigned long long)r->number);
    if (r->finding)
        mupdate_put_line(out, tag, "FIND", r->name, NULL);
    else if (r->detailed && link->has_details)
        mupdate_put_line(out, tag, verb_words[r->verb], r->name, r->location, r->acl, r->id, r->type,
                         r->special_use, NULL);
    else if (r->verb == VERB_LIST && link->has_details)
        mupdate_put_line(out, tag, "DETAILS", r->name, NULL);
    else
        mupdate_put_line(out, tag, verb_words[r->verb], args[0], args[0] != NULL ? args[1] : NULL,
                         args[0] != NULL && args[1] != NULL ? args[2] : NULL, NULL);
}

/* While a FIND before a DELETE is under way, what was queued behind it waits, so that the order stays. */
static bool may_send(const struct mupdate_link *link)
{
    if (link->waiting.first == NULL || link->in_flight.count >= IN_FLIGHT_MAX)
        return false;
    for (const struct mupdate_request *r = link->in_flight.first; r != NULL; r = r->next)
        if (r->finding)
            return false;
    return true;
}

static bool is_idle(const struct mupdate_link *link)
{
    return clock_ms() - link->heard >= link->config.idle_ms;
}

/* A NOOP for those who wait for one; or for the line, when it has been silent for long. */
static void write_barrier(struct mupdate_link *link, struct buf *out)
{
    struct mupdate_request *r;
    char tag[24];

    if (link->barrier_number != 0 || (link->barriers.first == NULL && !is_idle(link)))
        return;
    while ((r = queue_take(&link->barriers)) != NULL)
        queue_put(&link->barriers_sent, r);
    link->barrier_number = ++link->number;
    link->barrier_deadline = clock_deadline(link->config.answer_ms);
    snprintf(tag, sizeof(tag), "X%llu", (unsigned long long)link->barrier_number);
    mupdate_put_line(out, tag, "NOOP", NULL);
}

static void send_waiting(struct mupdate_link *link, struct mupdate_conn *conn)
{
    struct buf out = BUF_INIT;

    pthread_mutex_lock(&link->mutex);
    while (may_send(link)) {
        struct mupdate_request *r = queue_take(&link->waiting);

        if (r->forgotten) {
            destroy_request(r);
            continue;
        }
        r->finding = needs_find(r);
        write_request(link, r, &out);
        queue_put(&link->in_flight, r);
    }
    write_barrier(link, &out);
    pthread_mutex_unlock(&link->mutex);
    mupdate_conn_write(conn, &out);
    buf_free(&out);
}

/* ---- the thread: answers ---- */

static void note_found(struct mupdate_request *r, const struct mupdate_line *line, enum mupdate_state state)
{
    free(r->found_location);
    free(r->found_acl);
    r->state = state;
    r->found_location = xstrdup(line->count > 1 ? line->args[1] : "");
    r->found_acl = copy(state == MUPDATE_ACTIVE && line->count > 2 ? line->args[2] : NULL);
}

/* Hands an entry of LIST to the caller, without the mutex. */
static void hand_out_entry(struct mupdate_link *link, struct mupdate_request *r,
                           const struct mupdate_line *line, enum mupdate_state state)
{
    const struct mupdate_details details = {line->args[3], line->args[4], line->args[5]};
    const struct mupdate_entry entry = {state, line->args[0], line->count > 1 ? line->args[1] : "",
                                        line->count > 2 ? line->args[2] : "",
                                        line->count > 5 ? &details : NULL};
    int enough;

    if (r->forgotten || r->entry == NULL)
        return;
    link->calling = true;
    pthread_mutex_unlock(&link->mutex);
    enough = r->entry(&entry, r->context);
    pthread_mutex_lock(&link->mutex);
    link->calling = false;
    if (enough)
        r->entry = NULL;
    pthread_cond_broadcast(&link->changed);
}

/* MAILBOX and RESERVE: data of FIND and LIST. */
static int take_data(struct mupdate_link *link, const struct mupdate_line *line, enum mupdate_state state)
{
    struct mupdate_request *r = link->in_flight.first;

    if (r == NULL || line->count < 1)
        return ERR_PROTOCOL;
    if (r->verb == VERB_LIST)
        hand_out_entry(link, r, line, state);
    else
        note_found(r, line, state);
    return 0;
}

/* The FIND before a DELETE or DEACTIVATE was answered: sends it, if there is what it is about. */
static void after_find(struct mupdate_link *link, struct mupdate_conn *conn, struct mupdate_request *r)
{
    struct buf out = BUF_INIT;

    r->finding = false;
    if (r->state == MUPDATE_ABSENT) {
        finish(r, r->verb == MUPDATE_DELETE ? 0 : ERR_NOTFOUND, "no such mailbox");
        return;
    }
    write_request(link, r, &out);
    queue_put(&link->in_flight, r); /* alone: nothing was sent behind the FIND */
    mupdate_conn_write(conn, &out);
    buf_free(&out);
}

static int result_of(const char *word)
{
    if (str_ieq(word, "OK"))
        return 0;
    return str_ieq(word, "NO") ? ERR_CONFLICT : ERR_PROTOCOL;
}

static int take_result(struct mupdate_link *link, struct mupdate_conn *conn, const struct mupdate_line *line)
{
    struct mupdate_request *r = queue_take(&link->in_flight);
    const char *text = line->count > 0 ? line->args[0] : "";
    int result = result_of(line->word);

    if (r == NULL)
        return ERR_PROTOCOL;
    if (link->in_flight.first != NULL) /* its time begins now: the one before may have taken long */
        link->in_flight.first->deadline = clock_deadline(link->config.answer_ms);
    if (result == ERR_CONFLICT && str_has_prefix(text, MUPDATE_NO_QUORUM))
        result = ERR_UNAVAILABLE;
    if (r->finding && result == 0)
        after_find(link, conn, r);
    else
        finish(r, result, text);
    return result == ERR_UNAVAILABLE && link->servers.several ? result
                                                              : 0; /* another one may have a quorum */
}

static int take_line(struct mupdate_link *link, struct mupdate_conn *conn, const struct mupdate_line *line)
{
    uint64_t number;

    if (str_ieq(line->word, "BYE"))
        return ERR_EOF;
    if (line->tag[0] != 'X' || str_parse_u64(line->tag + 1, strlen(line->tag + 1), &number) < 0)
        return 0; /* "* BAD", "+ go ahead": nobody's answer */
    if (number == link->barrier_number && number != 0) {
        link->barrier_number = 0;
        finish_all(&link->barriers_sent, result_of(line->word), line->count > 0 ? line->args[0] : "");
        return 0;
    }
    if (link->in_flight.first == NULL || link->in_flight.first->number != number)
        return ERR_PROTOCOL; /* answers come in order (RFC 3656 2) */
    link->in_flight.first->deadline = clock_deadline(link->config.answer_ms);
    if (str_ieq(line->word, "MAILBOX"))
        return take_data(link, line, MUPDATE_ACTIVE);
    if (str_ieq(line->word, "RESERVE"))
        return take_data(link, line, MUPDATE_IS_RESERVED);
    return take_result(link, conn, line);
}

static int take_lines(struct mupdate_link *link, struct mupdate_conn *conn)
{
    const struct mupdate_line *line;
    int r;

    while ((r = mupdate_conn_line(conn, &line)) == 1) {
        pthread_mutex_lock(&link->mutex);
        link->heard = clock_ms();
        r = take_line(link, conn, line);
        pthread_mutex_unlock(&link->mutex);
        if (r < 0)
            break;
    }
    return r < 0 ? r : 0;
}

/* When the oldest answer is due; *idle_r: when the next NOOP is. */
static int64_t answer_deadline(struct mupdate_link *link, int64_t *idle_r)
{
    int64_t deadline = CLOCK_NEVER;

    pthread_mutex_lock(&link->mutex);
    *idle_r = link->barrier_number == 0 ? link->heard + link->config.idle_ms : CLOCK_NEVER;
    if (link->in_flight.first != NULL)
        deadline = link->in_flight.first->deadline;
    if (link->barrier_number != 0 && link->barrier_deadline < deadline)
        deadline = link->barrier_deadline;
    pthread_mutex_unlock(&link->mutex);
    return deadline;
}

/* Serves requests until the connection fails. */
static int converse(struct mupdate_link *link, struct mupdate_conn *conn)
{
    int64_t deadline, idle;
    int r = 0;

    while (r == 0 && !atomic_load(&link->stop)) {
        r = take_lines(link, conn);
        /* after the answers: they may be what a request or a barrier waited for */
        if (r == 0)
            send_waiting(link, conn);
        deadline = answer_deadline(link, &idle);
        if (r == 0 && clock_left(deadline) == 0)
            r = ERR_TIMEOUT;
        if (r == 0)
            r = mupdate_conn_wait(conn, deadline < idle ? deadline : idle);
    }
    return r;
}

/* ---- the thread: connecting ---- */

static void set_up(struct mupdate_link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->state = UP;
    link->connections++;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

/* The server is away: nobody waits for it. */
static void give_up(struct mupdate_link *link, int failure, const char *why)
{
    pthread_mutex_lock(&link->mutex);
    link->state = AWAY;
    link->failure = failure;
    buf_reset(&link->why);
    buf_puts(&link->why, why);
    link->barrier_number = 0;
    finish_all(&link->in_flight, ERR_UNAVAILABLE, why);
    finish_all(&link->waiting, ERR_UNAVAILABLE, why);
    finish_all(&link->barriers_sent, ERR_UNAVAILABLE, why);
    finish_all(&link->barriers, ERR_UNAVAILABLE, why);
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

/* Until the delay is over, or a request asks for an attempt that is not too soon after the last. */
static void rest(struct mupdate_link *link, int64_t delay_ms)
{
    int64_t most = clock_deadline(delay_ms);

    pthread_mutex_lock(&link->mutex);
    while (!atomic_load(&link->stop)) {
        int64_t kick = link->tried + KICK_MS;
        int64_t deadline = link->state != AWAY && kick < most ? kick : most;
        struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};

        if (clock_left(deadline) == 0)
            break;
        pthread_cond_timedwait(&link->changed, &link->mutex, &until);
    }
    pthread_mutex_unlock(&link->mutex);
}

/* One attempt, and the conversation if it succeeds.  False: another server is to be tried at once. */
static bool attempt(struct mupdate_link *link)
{
    const char *server = mupdate_servers_now(&link->servers);
    struct mupdate_conn *conn = NULL;
    struct buf why = BUF_INIT;
    bool all_tried, made;
    int r;

    pthread_mutex_lock(&link->mutex);
    link->tried = clock_ms();
    pthread_mutex_unlock(&link->mutex);
    link->config.conn.server = server;
    r = mupdate_conn_open(&link->config.conn, clock_deadline(mupdate_servers_connect_ms(&link->servers)),
                          &conn, &why);
    made = r == 0;
    if (made) {
        mupdate_servers_good(&link->servers);
        link->backoff.delay_ms = 0;
        free(link->told);
        link->told = NULL;
        link->heard = clock_ms();
        link->has_details = mupdate_conn_has(conn, "X-DETAILS");
        set_up(link);
        LOG(LOG_INFO, MUPDATE_LINK_UP, LOG_STR(SERVER, server));
        r = converse(link, conn);
        mupdate_conn_close(&conn);
        buf_puts(&why, "connection lost");
        if (r < 0)
            LOG(LOG_NOTICE, MUPDATE_LINK_LOST, LOG_STR(SERVER, server), LOG_ERROR(r));
    } else if (link->told == NULL ||
               strcmp(link->told, buf_cstr(&why)) != 0) { /* once an outage and reason */
        LOG(LOG_NOTICE, MUPDATE_LINK_AWAY, LOG_STR(SERVER, server), LOG_STR(ERROR, buf_cstr(&why)));
        free(link->told);
        link->told = xstrdup(buf_cstr(&why));
    }
    all_tried = mupdate_servers_next(&link->servers);
    if (made || all_tried) /* else those who wait may wait for the next one */
        give_up(link, r, buf_cstr(&why));
    buf_free(&why);
    return all_tried || made;
}

static void *run(void *context)
{
    struct mupdate_link *link = context;

    while (!atomic_load(&link->stop)) {
        if (!attempt(link))
            continue;
        if (!atomic_load(&link->stop))
            rest(link, mupdate_backoff_next(&link->backoff));
    }
    return NULL;
}

/* ---- links ---- */

struct mupdate_link *mupdate_link_new(const struct mupdate_link_config *config)
{
    struct mupdate_link *link = xcalloc(1, sizeof(*link));
    pthread_condattr_t monotonic;

    link->magic = LINK_MAGIC;
    link->config = *config;
    mupdate_servers_init(&link->servers, config->conn.server);
    link->config.conn.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    BUG_ON(link->config.conn.wake_fd < 0);
    link->config.conn.stop = &link->stop;
    link->backoff.most_ms = config->retry_most_ms;
    queue_init(&link->waiting);
    queue_init(&link->in_flight);
    queue_init(&link->barriers);
    queue_init(&link->barriers_sent);
    pthread_mutex_init(&link->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    BUG_ON(pthread_create(&link->thread, NULL, run, link) != 0);
    return link;
}

void mupdate_link_free(struct mupdate_link **linkp)
{
    struct mupdate_link *link = *linkp;

    if (link == NULL)
        return;
    MAGIC_CHECK(link, LINK_MAGIC);
    *linkp = NULL;
    pthread_mutex_lock(&link->mutex);
    atomic_store(&link->stop, true);
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    wake_thread(link);
    pthread_join(link->thread, NULL);
    give_up(link, ERR_UNAVAILABLE, "stopping"); /* what came between the last attempt and the end */
    close(link->config.conn.wake_fd);
    pthread_mutex_destroy(&link->mutex);
    pthread_cond_destroy(&link->changed);
    buf_free(&link->why);
    mupdate_servers_free(&link->servers);
    free(link->told);
    link->magic = 0;
    free(link);
}

/* The process's links, by target. */
static pthread_mutex_t links_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mupdate_link *links[MUPDATE_LOCAL_SLAVE + 1];

static struct mupdate_link *make_link(enum mupdate_target target)
{
    struct mupdate_link_config config = {
        .retry_most_ms = 1000 * opt_int(OPT_MUPDATE_RETRY_DELAY), .answer_ms = ANSWER_MS, .idle_ms = IDLE_MS};
    struct mupdate_link *link;
    struct buf path = BUF_INIT;

    config.conn.server = opt_string(OPT_MUPDATE_SERVER);
    config.conn.port = opt_is_set(OPT_MUPDATE_PORT) ? (unsigned)opt_int(OPT_MUPDATE_PORT) : 0;
    if (target == MUPDATE_LOCAL_SLAVE) {
        config_path(&path, "socket/mupdate.target");
        config.conn.server = buf_cstr(&path);
        config.conn.port = 0;
        config.conn.anonymous = true;
    }
    link = mupdate_link_new(&config);
    buf_free(&path);
    return link;
}

struct mupdate_link *mupdate_link(enum mupdate_target target)
{
    struct mupdate_link *link;

    if (opt_string(OPT_MUPDATE_SERVER) == NULL)
        return NULL;
    pthread_mutex_lock(&links_mutex);
    if (links[target] == NULL)
        links[target] = make_link(target);
    link = links[target];
    pthread_mutex_unlock(&links_mutex);
    return link;
}

void mupdate_links_stop(void)
{
    pthread_mutex_lock(&links_mutex);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        mupdate_link_free(&links[i]);
    pthread_mutex_unlock(&links_mutex);
}

bool mupdate_link_is_up(struct mupdate_link *link)
{
    bool up;

    MAGIC_CHECK(link, LINK_MAGIC);
    pthread_mutex_lock(&link->mutex);
    up = link->state == UP;
    pthread_mutex_unlock(&link->mutex);
    return up;
}

uint64_t mupdate_link_connections(struct mupdate_link *link)
{
    uint64_t connections;

    MAGIC_CHECK(link, LINK_MAGIC);
    pthread_mutex_lock(&link->mutex);
    connections = link->connections;
    pthread_mutex_unlock(&link->mutex);
    return connections;
}

/* ---- blocking ---- */

int mupdate_link_wait_up(struct mupdate_link *link, int64_t deadline, struct buf *why)
{
    int r = 0;

    MAGIC_CHECK(link, LINK_MAGIC);
    pthread_mutex_lock(&link->mutex);
    while (link->state == CONNECTING && clock_left(deadline) != 0)
        wait_changed(link, deadline);
    if (link->state != UP) {
        r = link->state == AWAY && link->failure == ERR_AUTH ? ERR_AUTH : ERR_UNAVAILABLE;
        buf_puts(why, link->state == AWAY ? buf_cstr(&link->why) : "no answer in time");
    }
    pthread_mutex_unlock(&link->mutex);
    return r;
}

/* Waits and frees. */
static int await(struct mupdate_request *r, int64_t deadline, struct buf *text)
{
    int result = ERR_UNAVAILABLE;

    if (mupdate_request_wait(r, deadline)) {
        result = mupdate_request_result(r);
        if (text != NULL)
            buf_puts(text, mupdate_request_text(r));
    } else if (text != NULL) {
        buf_puts(text, "no answer in time");
    }
    mupdate_request_free(&r);
    return result;
}

int mupdate_call(struct mupdate_link *link, enum mupdate_verb verb, const char *name, const char *location,
                 const char *acl, int64_t deadline, struct buf *text)
{
    return await(mupdate_send(link, verb, name, location, acl, NULL, NULL), deadline, text);
}

int mupdate_list(struct mupdate_link *link, const char *prefix,
                 int (*fn)(const struct mupdate_entry *entry, void *context), void *context, int64_t deadline)
{
    struct mupdate_request *r;

    MAGIC_CHECK(link, LINK_MAGIC);
    r = new_request(link, VERB_LIST, NULL, context);
    r->name = copy(prefix);
    r->entry = fn;
    submit(link, r, &link->waiting);
    return await(r, deadline, NULL);
}
