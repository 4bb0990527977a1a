/* slave.c: following a master. */
#include "mupdate/slave.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/remote.h"

enum {
    KEEPALIVE_MS = 20 * 1000, /* a NOOP after so long without one, as Cyrus's slave does */
    HOUSEKEEPING_MS = 60 * 1000,
    KICK_MS = 100,     /* between attempts that barriers ask for */
    AT_ONCE_MS = 1000, /* an attempt that takes longer to fail is not worth waiting for */
    RING = 65536       /* changed names that readers of ours may be behind */
};

#define UPDATE_TAG "U01"

struct slave {
    struct source source;
    struct slave_config config;
    struct mupdate_servers servers;
    const char *server; /* the present one */
    char *own;
    struct mboxlist_remote *remote;
    pthread_t thread;
    int wake_fd;
    atomic_bool stop;
    atomic_bool up; /* connected */
    atomic_bool synced;
    int64_t tried; /* when the last attempt began */
    char *told;    /* why the master is away, as it stands in the log; NULL: it is not */
    /* barriers: tickets up to `done` were answered by a master, those up to `missed` saw an attempt fail */
    _Atomic uint64_t asked, done, missed;
    atomic_bool hopeless; /* while it is away nobody waits for an attempt */
    uint64_t asking;      /* what the NOOP under way covers */
    uint64_t noop;        /* its number; 0: none */
    uint64_t noops;       /* numbers given */
    int64_t noop_said, noop_due;
    int64_t housekeeping_due;
    /* the full list */
    int64_t began;
    bool listing;             /* it is on its way: OK ends it */
    uint64_t epoch, position; /* XLIST's */
    /* changes for readers */
    pthread_mutex_t ring_mutex;
    char *ring[RING];
    uint64_t source_epoch;     /* of these sequences */
    _Atomic uint64_t sequence; /* ring[sequence % RING] is the last one */
};

/* ---- changes for those who follow us ---- */

static void note_change(const char *name, void *context)
{
    struct slave *s = context;
    uint64_t sequence;

    pthread_mutex_lock(&s->ring_mutex);
    sequence = atomic_load(&s->sequence) + 1;
    free(s->ring[sequence % RING]);
    s->ring[sequence % RING] = xstrdup(name);
    atomic_store(&s->sequence, sequence);
    pthread_mutex_unlock(&s->ring_mutex);
}

static int flush(struct slave *s)
{
    uint64_t before = atomic_load(&s->sequence);
    int r = mboxlist_remote_flush(s->remote);

    if (atomic_load(&s->sequence) != before)
        hub_wake(s->config.hub);
    return r;
}

/* ---- what the master says ---- */

static int take_update(struct slave *s, const struct mupdate_line *line)
{
    struct mboxlist_change change = {.name = line->args[0]};

    if (str_ieq(line->word, "MAILBOX") && line->count >= 3)
        change.type = MBOXLIST_CHANGE_MAILBOX;
    else if (str_ieq(line->word, "RESERVE") && line->count >= 2)
        change.type = MBOXLIST_CHANGE_RESERVE;
    else if (str_ieq(line->word, "DELETE") && line->count >= 1)
        change.type = MBOXLIST_CHANGE_DELETE;
    else
        return ERR_PROTOCOL;
    if (change.type != MBOXLIST_CHANGE_DELETE)
        change.location = line->args[1];
    if (change.type == MBOXLIST_CHANGE_MAILBOX)
        change.acl = line->args[2];
    if (change.type == MBOXLIST_CHANGE_MAILBOX && line->count >= 6) {
        change.id = line->args[3];
        change.special_use = line->args[5];
        if (line->args[4][0] != '\0' && strcmp(line->args[4], MUPDATE_TYPE_MAIL) != 0) { /* no mail in it */
            if (s->listing)
                return 0; /* as if the list did not have it */
            change.type = MBOXLIST_CHANGE_DELETE;
        }
    }
    return mboxlist_remote_add(s->remote, &change);
}

/* A whole list comes.  Until it is here the list is at no position: who is cut off in it begins anew. */
static int begin_full(struct slave *s, bool ordered, uint64_t epoch, uint64_t sequence)
{
    mboxlist_remote_set_position(s->remote, 0, 0);
    s->listing = true;
    s->epoch = epoch;
    s->position = sequence;
    mboxlist_remote_full_begin(s->remote, ordered);
    return mboxlist_remote_flush(s->remote);
}

static int take_position(struct slave *s, const struct mupdate_line *line)
{
    uint64_t epoch, sequence;

    if (line->count < 2 || str_parse_u64(line->args[0], strlen(line->args[0]), &epoch) < 0 ||
        str_parse_u64(line->args[1], strlen(line->args[1]), &sequence) < 0)
        return ERR_PROTOCOL;
    if (str_ieq(line->word, "XLIST"))
        return begin_full(s, true, epoch, sequence);
    if (str_ieq(line->word, "XPOSITION") && !s->listing)
        mboxlist_remote_set_position(s->remote, epoch, sequence);
    return 0; /* XCHANGES: from where we are */
}

/* The list is complete. */
static int end_full(struct slave *s)
{
    struct mboxlist_remote_counters counters;
    int r;

    if (s->epoch != 0)
        mboxlist_remote_set_position(s->remote, s->epoch, s->position);
    r = mboxlist_remote_full_end(s->remote);
    if (r < 0)
        return r;
    s->listing = false;
    hub_wake(s->config.hub);
    atomic_store(&s->synced, true);
    mboxlist_remote_counters(s->remote, &counters);
    LOG(LOG_NOTICE, MUPDATE_SLAVE_SYNCED, LOG_STR(SERVER, s->server), LOG_INT(COUNT, counters.received),
        LOG_INT(WRITTEN, counters.written), LOG_INT(REMOVED, counters.removed),
        LOG_INT(CONFLICTS, counters.conflicts), LOG_INT(MS, clock_ms() - s->began));
    return 0;
}

/* The changes since the last connection follow. */
static int end_resumed(struct slave *s)
{
    atomic_store(&s->synced, true);
    LOG(LOG_NOTICE, MUPDATE_SLAVE_RESUMED, LOG_STR(SERVER, s->server));
    return 0;
}

static int take_noop(struct slave *s, bool ok)
{
    int r = flush(s);

    s->noop = 0;
    if (r == 0 && !ok) { /* a member of a group that cannot tell how far the others are */
        atomic_store(&s->missed, s->asking);
        hub_wake(s->config.hub);
        return s->servers.several ? ERR_UNAVAILABLE : 0;
    }
    if (r == 0) {
        atomic_store(&s->done, s->asking);
        hub_wake(s->config.hub);
    }
    return r;
}

static int take_line(struct slave *s, const struct mupdate_line *line)
{
    uint64_t number;

    if (str_ieq(line->word, "BYE"))
        return ERR_EOF;
    if (strcmp(line->tag, UPDATE_TAG) == 0) {
        if (str_ieq(line->word, "OK"))
            return atomic_load(&s->synced) ? 0 : s->listing ? end_full(s) : end_resumed(s);
        if (str_ieq(line->word, "NO") || str_ieq(line->word, "BAD"))
            return ERR_REFUSED;
        if (line->word[0] == 'X')
            return take_position(s, line);
        return take_update(s, line);
    }
    if (line->tag[0] == 'N' && str_parse_u64(line->tag + 1, strlen(line->tag + 1), &number) == 0 &&
        number == s->noop)
        return take_noop(s, !str_ieq(line->word, "NO"));
    return 0;
}

/* Takes all that has arrived.  The full list is written in large batches; later changes at once. */
static int take_lines(struct slave *s, struct mupdate_conn *conn)
{
    const struct mupdate_line *line;
    int r;

    while ((r = mupdate_conn_line(conn, &line)) == 1) {
        r = take_line(s, line);
        if (r < 0)
            return r;
        /* the rest of the list may be long on its way before the answer */
        s->noop_due = clock_deadline(s->config.answer_ms);
    }
    if (r == 0 && atomic_load(&s->synced))
        r = flush(s);
    return r;
}

/* ---- what we say ---- */

static void write_line(struct mupdate_conn *conn, const char *tag, const char *word)
{
    struct buf out = BUF_INIT;

    mupdate_put_line(&out, tag, word, NULL);
    mupdate_conn_write(conn, &out);
    buf_free(&out);
}

/* XUPDATE with the list's position, or UPDATE. */
static int ask_for_updates(struct slave *s, struct mupdate_conn *conn)
{
    uint64_t epoch, sequence;
    char word[64];
    int r;

    s->listing = false;
    if (!mupdate_conn_has(conn, "X-RESUME")) {
        write_line(conn, UPDATE_TAG, "UPDATE");
        return begin_full(s, false, 0, 0);
    }
    r = mboxlist_remote_position(s->config.list, &epoch, &sequence);
    snprintf(word, sizeof(word), "XUPDATE \"%" PRIu64 "\" \"%" PRIu64 "\"", epoch, sequence);
    write_line(conn, UPDATE_TAG, word);
    return r;
}

/* A NOOP when somebody waits for one, or when it has been quiet for long. */
static void maybe_noop(struct slave *s, struct mupdate_conn *conn)
{
    uint64_t asked = atomic_load(&s->asked);
    int64_t now = clock_ms();
    char tag[24];

    if (s->noop != 0 || (asked == atomic_load(&s->done) && now < s->noop_said + KEEPALIVE_MS))
        return;
    s->noop = ++s->noops;
    s->asking = asked;
    s->noop_said = now;
    s->noop_due = now + s->config.answer_ms;
    snprintf(tag, sizeof(tag), "N%llu", (unsigned long long)s->noop);
    write_line(conn, tag, "NOOP");
}

static int64_t next_deadline(const struct slave *s)
{
    return s->noop != 0 ? s->noop_due : s->noop_said + KEEPALIVE_MS;
}

static void housekeeping(struct slave *s)
{
    if (clock_left(s->housekeeping_due) > 0)
        return;
    mboxlist_housekeeping(s->config.list);
    s->housekeeping_due = clock_deadline(HOUSEKEEPING_MS);
}

static int converse(struct slave *s, struct mupdate_conn *conn)
{
    int r;

    s->began = clock_ms();
    s->noop = 0;
    s->noop_said = clock_ms();
    r = ask_for_updates(s, conn);
    while (r == 0 && !atomic_load(&s->stop)) {
        maybe_noop(s, conn);
        r = mupdate_conn_wait(conn, next_deadline(s));
        if (r == 0)
            r = take_lines(s, conn);
        if (r == 0 && s->noop != 0 && clock_left(s->noop_due) == 0)
            r = ERR_TIMEOUT;
        housekeeping(s);
    }
    return r;
}

/* ---- the thread ---- */

/* Does somebody wait for an attempt? */
static bool is_asked(struct slave *s)
{
    return !atomic_load(&s->hopeless) && atomic_load(&s->asked) > atomic_load(&s->missed) &&
           atomic_load(&s->asked) > atomic_load(&s->done);
}

/* Until the delay is over, or a barrier asks for an attempt that is not too soon after the last. */
static void rest(struct slave *s, int64_t ms)
{
    struct pollfd fd = {.fd = s->wake_fd, .events = POLLIN};
    int64_t most = clock_deadline(ms), deadline;
    uint64_t count;

    while (!atomic_load(&s->stop)) {
        deadline = is_asked(s) && s->tried + KICK_MS < most ? s->tried + KICK_MS : most;
        if (clock_left(deadline) == 0 ||
            (poll(&fd, 1, clock_left(deadline)) > 0 && read(s->wake_fd, &count, sizeof(count)) < 0))
            return;
    }
}

static void renew_remote(struct slave *s)
{
    mboxlist_remote_free(&s->remote);
    s->remote = mboxlist_remote_new(s->config.list, s->own);
    mboxlist_remote_set_observer(s->remote, note_change, s);
}

/* One connection, from its beginning to its end.  *served_r: the list came whole.  False: another server is to be tried at
 * once. */
static bool follow_once(struct slave *s, bool *served_r)
{
    uint64_t asked = atomic_load(&s->asked);
    struct mupdate_conn *conn = NULL;
    struct buf why = BUF_INIT;
    bool made, all_tried;
    int r;

    s->tried = clock_ms();
    s->server = s->config.conn.server = mupdate_servers_now(&s->servers);
    r = mupdate_conn_open(&s->config.conn, clock_deadline(mupdate_servers_connect_ms(&s->servers)), &conn,
                          &why);
    made = r == 0;
    all_tried = made;
    if (!made)
        all_tried = mupdate_servers_next(&s->servers);
    atomic_store(&s->hopeless, all_tried && !made && clock_ms() - s->tried > AT_ONCE_MS);
    if (made) {
        mupdate_servers_good(&s->servers);
        free(s->told);
        s->told = NULL;
        renew_remote(s);
        atomic_store(&s->up, true);
        r = converse(s, conn);
        mupdate_conn_close(&conn);
        *served_r = atomic_exchange(&s->synced, false);
        atomic_store(&s->up, false);
        if (r < 0)
            LOG(LOG_NOTICE, MUPDATE_SLAVE_LOST, LOG_STR(SERVER, s->server), LOG_ERROR(r));
        mupdate_servers_next(&s->servers);
        all_tried = !*served_r || !s->servers.several;
    } else {
        if (all_tried)
            atomic_store(&s->missed, asked);
        hub_wake(s->config.hub);
        if (s->told == NULL || strcmp(s->told, buf_cstr(&why)) != 0) /* once an outage and reason */
            LOG(LOG_NOTICE, MUPDATE_SLAVE_AWAY, LOG_STR(SERVER, s->server), LOG_STR(ERROR, buf_cstr(&why)));
        free(s->told);
        s->told = xstrdup(buf_cstr(&why));
    }
    buf_free(&why);
    return all_tried;
}

static void *run(void *context)
{
    struct slave *s = context;
    struct mupdate_backoff backoff = {.most_ms = s->config.retry_most_ms};

    while (!atomic_load(&s->stop)) {
        bool served = false;

        if (!follow_once(s, &served))
            continue;
        if (served) /* else it may be our asking that brings it down */
            backoff.delay_ms = 0;
        if (!atomic_load(&s->stop))
            rest(s, mupdate_backoff_next(&backoff));
    }
    return NULL;
}

static void wake_thread(struct slave *s)
{
    uint64_t one = 1;

    if (write(s->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

static const struct source_ops slave_source_ops;

struct slave *slave_new(const struct slave_config *config)
{
    struct slave *s = xcalloc(1, sizeof(*s));

    s->source.ops = &slave_source_ops;
    s->config = *config;
    mupdate_servers_init(&s->servers, config->conn.server);
    s->server = mupdate_servers_now(&s->servers);
    s->own = xstrdup(config->own);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    BUG_ON(s->wake_fd < 0);
    digest_random(&s->source_epoch, sizeof(s->source_epoch));
    s->config.conn.wake_fd = s->wake_fd;
    s->config.conn.stop = &s->stop;
    pthread_mutex_init(&s->ring_mutex, NULL);
    BUG_ON(pthread_create(&s->thread, NULL, run, s) != 0);
    return s;
}

void slave_free(struct slave **sp)
{
    struct slave *s = *sp;

    if (s == NULL)
        return;
    *sp = NULL;
    atomic_store(&s->stop, true);
    wake_thread(s);
    pthread_join(s->thread, NULL);
    mboxlist_remote_free(&s->remote);
    for (unsigned i = 0; i < RING; i++)
        free(s->ring[i]);
    close(s->wake_fd);
    pthread_mutex_destroy(&s->ring_mutex);
    mupdate_servers_free(&s->servers);
    free(s->own);
    free(s->told);
    free(s);
}

bool slave_is_synced(struct slave *s)
{
    return atomic_load(&s->synced);
}

uint64_t slave_barrier_ask(void *slave)
{
    struct slave *s = slave;
    uint64_t ticket = atomic_fetch_add(&s->asked, 1) + 1;

    wake_thread(s);
    return ticket;
}

int slave_barrier_done(void *slave, uint64_t ticket)
{
    struct slave *s = slave;

    if (atomic_load(&s->done) >= ticket)
        return 1;
    if (atomic_load(&s->up))
        return atomic_load(&s->missed) >= ticket ? ERR_UNAVAILABLE : 0;
    return atomic_load(&s->hopeless) || atomic_load(&s->missed) >= ticket ? ERR_UNAVAILABLE : 0;
}

/* ---- as a source ---- */

struct source *slave_source(struct slave *s)
{
    return &s->source;
}

static void to_entry(const struct slave *s, const struct mboxlist_record *record, struct pool *pool,
                     struct entry *entry_r)
{
    struct buf location = BUF_INIT;

    mboxlist_record_location(record, s->own, &location);
    *entry_r =
        (struct entry){.state = record->type == MBOXLIST_RESERVED ? MUPDATE_IS_RESERVED : MUPDATE_ACTIVE,
                       .name = record->name,
                       .location = pool_strdup(pool, buf_cstr(&location)),
                       .acl = record->acl,
                       .details = {.id = record->id,
                                   .type = record->id[0] != '\0' ? MUPDATE_TYPE_MAIL : "",
                                   .special_use = record->special_use}};
    buf_free(&location);
}

static int slave_find(struct source *source, const char *name, struct pool *pool, struct entry *entry_r)
{
    struct slave *s = (struct slave *)source;
    struct mboxlist_record record;
    int r = mboxlist_lookup(s->config.list, name, pool, &record);

    if (r == 0 && record.type == MBOXLIST_INTERMEDIATE)
        r = ERR_NOTFOUND;
    if (r == 0)
        to_entry(s, &record, pool, entry_r);
    return r;
}

struct cursor {
    struct slave *slave;
    struct mboxlist_iter *iter;
    struct pool *pool;
};

static struct cursor *slave_list_begin(struct source *source)
{
    struct cursor *cursor = xcalloc(1, sizeof(*cursor));

    cursor->slave = (struct slave *)source;
    cursor->iter = mboxlist_iter_all(cursor->slave->config.list, NULL,
                                     MBOXLIST_TYPES_ACTIVE | MBOXLIST_TYPE_BIT(MBOXLIST_RESERVED));
    cursor->pool = pool_new(0);
    return cursor;
}

static void slave_list_end(struct cursor **cursor)
{
    if (*cursor == NULL)
        return;
    mboxlist_iter_free(&(*cursor)->iter);
    pool_free(&(*cursor)->pool);
    free(*cursor);
    *cursor = NULL;
}

static int slave_list_next(struct cursor *cursor, unsigned most, entry_fn *fn, void *context)
{
    const struct mboxlist_record *record;
    struct entry entry;
    int r = 1;

    while (most-- > 0 && (r = mboxlist_iter_next(cursor->iter, &record)) > 0) {
        pool_reset(cursor->pool);
        to_entry(cursor->slave, record, cursor->pool, &entry);
        fn(&entry, context);
    }
    return r;
}

static uint64_t slave_sequence(struct source *source)
{
    return atomic_load(&((struct slave *)source)->sequence);
}

static uint64_t slave_epoch(struct source *source)
{
    return ((struct slave *)source)->source_epoch;
}

/* Copies the names behind *after; ERR_EXPUNGED when they are overwritten. */
static int copy_ring(struct slave *s, uint64_t after, unsigned most, struct pool *pool, const char **names,
                     unsigned *count_r)
{
    uint64_t until;
    int r = 0;

    *count_r = 0;
    pthread_mutex_lock(&s->ring_mutex);
    until = atomic_load(&s->sequence);
    if (until - after >= RING)
        r = ERR_EXPUNGED;
    for (uint64_t i = after + 1; r == 0 && i <= until && *count_r < most; i++)
        names[(*count_r)++] = pool_strdup(pool, s->ring[i % RING]);
    pthread_mutex_unlock(&s->ring_mutex);
    return r;
}

static int slave_changes(struct source *source, uint64_t *after, unsigned most, entry_fn *fn, void *context)
{
    struct slave *s = (struct slave *)source;
    struct pool *pool = pool_new(0);
    const char **names = pool_alloc(pool, most * sizeof(*names));
    unsigned count;
    int r = copy_ring(s, *after, most, pool, names, &count);

    for (unsigned i = 0; i < count && r == 0; i++) {
        struct entry entry = {.state = MUPDATE_ABSENT, .location = "", .acl = ""};

        r = slave_find(source, names[i], pool, &entry);
        r = r == ERR_NOTFOUND ? 0 : r;
        entry.name = names[i];
        if (r == 0)
            fn(&entry, context);
    }
    if (r == 0)
        *after += count;
    pool_free(&pool);
    return r;
}

static const struct source_ops slave_source_ops = {
    .find = slave_find,
    .list_begin = slave_list_begin,
    .list_next = slave_list_next,
    .list_end = slave_list_end,
    .epoch = slave_epoch,
    .sequence = slave_sequence,
    .changes = slave_changes,
};
