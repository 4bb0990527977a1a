#include "imap/sievehost/imapsieve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "imap/sievehost/compiled.h"
#include "imap/sievehost/host-private.h"
#include "imap/sievehost/language-private.h"
#include "imap/store/append.h"
#include "imap/store/flags.h"
#include "imap/store/message.h"
#include "imap/store/store.h"
#include "imap/store/view.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mboxlist/annotations.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

struct task {
    struct courier_task task; /* the first member */
    struct sievehost *host;
    struct pool *pool;
    struct imapsieve_event event;
};

/* New messages whose flags scripts have changed, for an event of their own. */
struct changes {
    struct imapsieve_message *messages; /* room for all of the event's */
    size_t count;
};

/* A mailbox whose script runs. */
struct scene {
    const struct task *task;
    struct changes *changes;
    struct mboxlist_record record;
    const char *script, *owner; /* the script's name; as whom it acts */
    bool global;
    struct view *view;
};

bool imapsieve_is_on(void)
{
    return language_allows("imapsieve");
}

/* The name of the script, in the pool; NULL: none.  An entry that is empty keeps the server's away (RFC 6785 2.3.1). */
static const char *find_script(struct mboxlist *list, const char *id, struct pool *pool, bool *global_r)
{
    struct annotation a;
    int r = annotation_get(list, id, "", IMAPSIEVE_ENTRY, pool, &a);

    *global_r = r == ERR_NOTFOUND;
    if (r == ERR_NOTFOUND)
        r = annotation_get(list, "", "", IMAPSIEVE_ENTRY, pool, &a);
    return r == 0 && a.len > 0 && strlen(a.value) == a.len ? a.value : NULL;
}

bool imapsieve_is_set(struct mboxlist *list, const char *id)
{
    struct pool *pool = pool_new(0);
    bool global, set = find_script(list, id, pool, &global) != NULL;

    pool_free(&pool);
    return set;
}

/* ---- flags ---- */

static const struct {
    const char *name;
    uint32_t bit;
    rights_t needs;
} system_flags[] = {{"\\Answered", RECORD_ANSWERED, ACL_WRITE},
                    {"\\Flagged", RECORD_FLAGGED, ACL_WRITE},
                    {"\\Deleted", RECORD_DELETED, ACL_DELETE_MSG},
                    {"\\Seen", RECORD_SEEN, ACL_SEEN},
                    {"\\Draft", RECORD_DRAFT, ACL_WRITE}};

static uint32_t system_bit(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        if (str_ieq(name, system_flags[i].name))
            return system_flags[i].bit;
    return 0;
}

/* The flags of a message as words, in the pool. */
static const char *words_of(struct pool *pool, struct mailbox *mailbox, const struct mailbox_record *record)
{
    const char *names[USER_FLAGS_MAX], *kept;
    struct buf words = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        if ((record->system & system_flags[i].bit) != 0)
            buf_printf(&words, "%s%s", words.len > 0 ? " " : "", system_flags[i].name);
    if (mailbox_flag_names(mailbox, names) == 0)
        for (unsigned i = 0; i < USER_FLAGS_MAX; i++)
            if (names[i] != NULL && record_has_user_flag(record, i))
                buf_printf(&words, "%s%s", words.len > 0 ? " " : "", names[i]);
    kept = pool_strdup(pool, buf_cstr(&words));
    buf_free(&words);
    return kept;
}

static bool has_word(const struct str_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_ieq(list->items[i], word))
            return true;
    return false;
}

/* What `from` has and `other` has not. */
static void set_difference(struct pool *pool, const struct str_list *from, const struct str_list *other,
                           struct flag_change *change)
{
    const char **keywords = pool_alloc(pool, (from->count + 1) * sizeof(*keywords));

    change->keywords = keywords;
    for (size_t i = 0; i < from->count; i++) {
        uint32_t bit = system_bit(from->items[i]);

        if (has_word(other, from->items[i]))
            continue;
        change->system |= bit;
        if (bit == 0 && *from->items[i] != '\\')
            *keywords++ = from->items[i];
    }
}

static int change_flags(const struct scene *scene, struct sieve_recipient *r, uint32_t uid,
                        struct flag_change *change)
{
    rights_t rights =
        identity_rights(scene->task->host->names, scene->record.acl, r->identity, scene->record.name);
    struct flag_result result = {0};
    struct uid_set uids = {0};
    int error;

    if (change->system == 0 && *change->keywords == NULL)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        change->may_system |= (rights & system_flags[i].needs) != 0 ? system_flags[i].bit : 0;
    change->may_keywords = (rights & ACL_WRITE) != 0;
    error = uid_set_add(&uids, uid, uid);
    if (error == 0)
        error = flags_store(scene->view, &uids, change, &result);
    uid_set_free(&uids);
    uid_set_free(&result.modified);
    return error;
}

/* Gives the message the flags that the script has left; what a client has changed meanwhile stays. */
static int set_flags(const struct scene *scene, struct sieve_recipient *r, uint32_t uid, const char *before,
                     const char *after)
{
    struct flag_change add = {.operation = FLAGS_ADD}, remove = {.operation = FLAGS_REMOVE};
    struct str_list old = str_split(r->pool, before, " "), new = str_split(r->pool, after, " ");
    int error;

    set_difference(r->pool, &new, &old, &add);
    set_difference(r->pool, &old, &new, &remove);
    error = change_flags(scene, r, uid, &add);
    return error < 0 ? error : change_flags(scene, r, uid, &remove);
}

/* ---- what the script has decided ---- */

static int write_message(const struct sieve_envelope *e, const struct sieve_filing *filing,
                         struct stage *stage)
{
    size_t own = mail_header_size(e->data, e->len);
    int r = 0;

    if (filing->header == NULL)
        return stage_write(stage, e->data, e->len);
    r = stage_write(stage, filing->header, filing->header_len);
    if (r == 0 && !filing->is_copy)
        r = stage_write(stage, e->data + own, e->len - own);
    return r;
}

static int append_to(struct sieve_recipient *r, const struct sieve_filing *filing, struct stage **stage)
{
    struct append_message how = {0};
    struct append *append;
    struct mailbox *mailbox;
    const char **keywords;
    size_t n = 0;
    int error = mailbox_open(r->job->host->store, filing->partition, filing->id, &mailbox);

    if (error < 0)
        return error;
    while (filing->flags != NULL && filing->flags[n] != NULL)
        n++;
    how.keywords = keywords = pool_alloc(r->pool, (n + 1) * sizeof(*keywords));
    for (size_t i = 0; i < n; i++) {
        how.system |= system_bit(filing->flags[i]);
        if (*filing->flags[i] != '\\')
            *keywords++ = filing->flags[i];
    }
    append_begin(mailbox, &(struct mailbox_reader){NULL}, &append);
    error = append_add(append, stage, &how);
    if (error == 0)
        error = append_commit(&append, QUOTA_STRICT, NULL);
    else
        append_abort(&append);
    mailbox_close(&mailbox);
    return error;
}

/* A copy of the message in a mailbox of this server. */
static int file(struct sieve_recipient *r, const struct sieve_filing *filing)
{
    struct stage *stage = NULL;
    int error = stage_new(r->job->host->store, filing->partition, &stage);

    if (error == 0)
        error = write_message(&r->job->envelope, filing, stage);
    if (error == 0)
        error = stage_finish(stage, NULL);
    if (error == 0)
        error = append_to(r, filing, &stage);
    stage_free(&stage);
    if (error < 0)
        LOG(LOG_WARNING, SIEVE_TROUBLE, LOG_STR(USER, r->userid), LOG_STR(NAME, "fileinto"),
            LOG_STR(VALUE, filing->name), LOG_STR(MSGID, ""), LOG_ERROR(error), LOG_STR(TEXT, ""));
    return error;
}

static const char *join(struct pool *pool, const char *const *words)
{
    struct buf text = BUF_INIT;
    const char *kept;

    for (size_t i = 0; words[i] != NULL; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", words[i]);
    kept = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return kept;
}

/* The flags that one of two has and the other has not, as words in the pool. */
static const char *changed_words(struct pool *pool, const char *before, const char *after, bool but_deleted)
{
    struct str_list old = str_split(pool, before, " "), new = str_split(pool, after, " ");
    const char **words = pool_alloc(pool, (old.count + new.count + 1) * sizeof(*words));
    size_t n = 0;

    for (size_t i = 0; i < new.count; i++)
        if (!has_word(&old, new.items[i]) && !(but_deleted && str_ieq(new.items[i], "\\Deleted")))
            words[n++] = new.items[i];
    for (size_t i = 0; i < old.count; i++)
        if (!has_word(&new, old.items[i]))
            words[n++] = old.items[i];
    return join(pool, words);
}

/* What a script has changed of a new message's flags is a change of flags, which its scripts may want to see; what they
 * change then is none, or it would go on for ever (RFC 6785 2.2.3). */
static void note_changes(const struct scene *scene, struct sieve_recipient *r, uint32_t uid, bool but_deleted)
{
    struct changes *all = scene->changes;
    struct imapsieve_message *next = all->messages + all->count;
    const char *words, *last = all->count > 0 ? next[-1].flags : "";
    struct view_message m;
    struct mailbox *mailbox;

    if (strcmp(scene->task->event.cause, "FLAG") == 0 || view_mailbox(scene->view, &mailbox) < 0 ||
        view_read_uid(scene->view, uid, &m) < 0)
        return;
    words = changed_words(r->pool, r->job->event->flags, words_of(r->pool, mailbox, &m.record), but_deleted);
    if (*words == '\0')
        return;
    next->uid = uid;
    next->flags = strcmp(words, last) == 0 ? last : pool_strdup(scene->task->pool, words);
    all->count++;
}

static void tell_changes(const struct scene *scene)
{
    struct imapsieve_event event = scene->task->event;

    event.cause = "FLAG";
    event.messages = scene->changes->messages;
    event.count = scene->changes->count;
    if (event.count > 0)
        imapsieve_submit(scene->task->host, &event);
}

/* Files, and gives the message its flags: \\Deleted when nothing keeps it (RFC 6785 2.2.4). */
static void finish(const struct scene *scene, struct sieve_recipient *r, uint32_t uid)
{
    const char *before = r->job->event->flags, *after = r->result.flags;
    bool kept = false, failed = false;
    int error;

    for (const struct sieve_filing *f = r->outcome.filings; f != NULL; f = f->next) {
        kept |= f->name == NULL;
        failed |= f->name != NULL && file(r, f) < 0 && !f->is_copy;
        if (f->name == NULL && f->flags != NULL)
            after = join(r->pool, f->flags);
    }
    if (!kept && !failed)
        after = pool_printf(r->pool, "%s%s\\Deleted", after, *after != '\0' ? " " : "");
    error = set_flags(scene, r, uid, before, after);
    if (error < 0)
        LOG(LOG_WARNING, SIEVE_TROUBLE, LOG_STR(USER, r->userid), LOG_STR(NAME, "flags"),
            LOG_STR(VALUE, scene->record.name), LOG_STR(MSGID, ""), LOG_ERROR(error), LOG_STR(TEXT, ""));
    else
        note_changes(scene, r, uid, !kept && !failed);
    sieve_recipient_settle(r);
}

/* ---- a message ---- */

/* A file that is shorter than it should be must not be touched behind its end. */
static int map_message(const struct scene *scene, const struct view_message *m, const char **data_r)
{
    struct mailbox *mailbox;
    struct message *message = NULL;
    void *data = MAP_FAILED;
    struct stat st;
    int fd, r = view_mailbox(scene->view, &mailbox);

    if (r < 0)
        return r;
    message_open(mailbox, m->number, &m->record, &message);
    fd = message_fd(message);
    if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size >= m->record.size)
        data = mmap(NULL, m->record.size, PROT_READ, MAP_PRIVATE, fd, 0);
    message_close(&message);
    *data_r = data;
    return fd < 0 ? fd : data == MAP_FAILED ? ERR_IO : 0;
}

static const char *address_of(struct pool *pool, const char *userid)
{
    const char *host = config_servername();

    return strchr(userid, '@') != NULL ? userid
                                       : pool_printf(pool, "%s@%.*s", userid, (int)strcspn(host, ":"), host);
}

static void run_on(const struct scene *scene, const struct imapsieve_message *wanted,
                   const struct view_message *m, const char *data, struct compiled *script)
{
    const struct imapsieve_event *event = &scene->task->event;
    struct pool *pool = pool_new(0);
    struct sieve_envelope envelope = {.from = address_of(pool, scene->owner),
                                      .peer = "",
                                      .session = event->session,
                                      .data = data,
                                      .len = m->record.size};
    struct job_event what = {.cause = event->cause,
                             .userid = event->userid,
                             .email = address_of(pool, event->userid),
                             .mailbox = event->mailbox,
                             .changed = wanted->flags};
    struct mailbox *mailbox;
    struct sieve_job *job = sieve_job_new(scene->task->host, &envelope);
    struct sieve_recipient *r = sieve_job_add(job, script, scene->owner, address_of(pool, scene->owner));

    what.flags = view_mailbox(scene->view, &mailbox) == 0 ? words_of(pool, mailbox, &m->record) : "";
    job->event = &what;
    job->deadline = clock_deadline(SIEVEHOST_JOB_MS);
    r->may_wait = true;
    recipient_run(r);
    recipient_perform(r);
    finish(scene, r, wanted->uid);
    job->done = true;
    sieve_job_free(&job);
    pool_free(&pool);
}

/* A script that does not compile is told in the log, one that does not exist is none. */
static struct compiled *compile(const struct scene *scene)
{
    struct buf errors = BUF_INIT;
    struct compiled *script;
    int r = compiled_named(scene->task->host->names, scene->owner, scene->script, scene->global, &errors,
                           &script);

    if (r < 0 && r != ERR_NOTFOUND)
        LOG(LOG_WARNING, SIEVE_SCRIPT, LOG_STR(USER, scene->owner), LOG_ERROR(r),
            LOG_STR(TEXT, buf_cstr(&errors)));
    buf_free(&errors);
    return script;
}

static bool run_message(const struct scene *scene, const struct imapsieve_message *wanted)
{
    struct compiled *script = compile(scene);
    struct view_message m;
    const char *data;

    if (script == NULL)
        return false;
    if (view_read_uid(scene->view, wanted->uid, &m) == 0 && m.record.size > 0 &&
        map_message(scene, &m, &data) == 0)
        run_on(scene, wanted, &m, data, script);
    else /* it is gone */
        compiled_release(&script);
    return true;
}

/* ---- an event ---- */

/* Whose \Seen the script sees and sets. */
static int open_view(struct scene *scene)
{
    const struct sievehost *host = scene->task->host;
    struct mailbox_reader reader = {NULL};
    struct mailbox *mailbox;
    int r = mailbox_open(host->store, scene->record.partition, scene->record.id, &mailbox);

    if (r < 0)
        return r;
    if ((mailbox_header(mailbox)->options & MAILBOX_OPT_SHARED_SEEN) == 0 &&
        !mboxname_is_owner(host->names, scene->record.name, scene->owner))
        reader.userid = scene->owner;
    r = view_of(&mailbox, &reader, true, &scene->view);
    if (r == 0)
        view_allow_changes(scene->view);
    return r;
}

static void log_lost(const struct imapsieve_event *event, size_t count)
{
    LOG(LOG_WARNING, SIEVE_EVENTS, LOG_STR(USER, event->userid), LOG_STR(MAILBOX, event->mailbox),
        LOG_INT(COUNT, count));
}

static bool is_over(const struct sievehost *host)
{
    int64_t end = atomic_load(&host->events_end);

    return end != 0 && clock_left(end) == 0;
}

void imapsieve_stop(struct sievehost *host)
{
    atomic_store(&host->events_end, clock_deadline(IMAPSIEVE_STOP_MS));
}

static void run_messages(const struct scene *scene)
{
    const struct imapsieve_event *event = &scene->task->event;
    int64_t deadline = clock_deadline(IMAPSIEVE_EVENT_MS);

    for (size_t i = 0; i < event->count; i++) {
        if (clock_left(deadline) == 0 || is_over(scene->task->host)) {
            log_lost(event, event->count - i);
            break;
        }
        if (!run_message(scene, &event->messages[i]))
            break;
    }
}

static void run_event(const struct task *task)
{
    struct changes changes = {.messages =
                                  pool_alloc(task->pool, task->event.count * sizeof(*changes.messages))};
    struct scene scene = {.task = task, .changes = &changes};
    struct buf owner = BUF_INIT;

    if (mboxlist_lookup_id(task->host->list, task->event.id, task->pool, &scene.record) < 0 ||
        scene.record.type != MBOXLIST_LOCAL || (scene.record.flags & MBOXLIST_MOVING) != 0)
        return;
    scene.script = find_script(task->host->list, task->event.id, task->pool, &scene.global);
    if (mboxname_owner(task->host->names, scene.record.name, &owner)) {
        scene.owner = pool_strdup(task->pool, buf_cstr(&owner));
    } else {
        scene.owner = task->event.userid;
        scene.global = true;
    }
    buf_free(&owner);
    if (scene.script != NULL && open_view(&scene) == 0)
        run_messages(&scene);
    view_close(&scene.view);
    tell_changes(&scene);
}

static void run_task(struct courier_task *courier_task)
{
    struct task *task = (struct task *)courier_task;
    struct pool *pool = task->pool; /* the task lives in it */

    log_set_session(task->event.session);
    run_event(task);
    log_set_session(NULL);
    atomic_fetch_sub(&task->host->event_messages, task->event.count);
    pool_free(&pool);
}

static struct task *task_new(struct sievehost *host, const struct imapsieve_event *event)
{
    struct pool *pool = pool_new(0);
    struct task *task = pool_alloc(pool, sizeof(*task));
    struct imapsieve_message *messages = pool_alloc(pool, event->count * sizeof(*messages));

    task->task.run = run_task;
    task->host = host;
    task->pool = pool;
    task->event = (struct imapsieve_event){
        .cause = pool_strdup(pool, event->cause),
        .userid = pool_strdup(pool, event->userid),
        .session = pool_strdup(pool, event->session),
        .mailbox = pool_strdup(pool, event->mailbox),
        .id = pool_strdup(pool, event->id),
        .messages = messages,
        .count = event->count,
    };
    for (size_t i = 0; i < event->count; i++) {
        const char *flags = event->messages[i].flags;
        bool same = i > 0 && strcmp(flags, messages[i - 1].flags) == 0;

        messages[i].uid = event->messages[i].uid;
        messages[i].flags = same ? messages[i - 1].flags : pool_strdup(pool, flags);
    }
    return task;
}

/* Others' events are to find threads, too. */
enum { OF_MAILBOX = 1, OF_USER = 4, OF_ALL = 32, OF_USER_WAITING = COURIER_QUEUE_MAX / 4 };

void imapsieve_submit(struct sievehost *host, const struct imapsieve_event *event)
{
    struct task *task;
    struct pool *pool;

    if (atomic_fetch_add(&host->event_messages, event->count) + event->count > IMAPSIEVE_MESSAGES_MAX) {
        atomic_fetch_sub(&host->event_messages, event->count);
        log_lost(event, event->count);
        return;
    }
    task = task_new(host, event);
    pool = task->pool; /* the task lives in it */
    courier_place_add(&task->task, pool_printf(pool, "events of %s", task->event.id), OF_MAILBOX);
    courier_place_share(&task->task, pool_printf(pool, "events by %s", task->event.userid), OF_USER,
                        OF_USER_WAITING);
    courier_place_add(&task->task, "events", OF_ALL);
    if (courier_submit(host->courier, &task->task) == 0)
        return;
    atomic_fetch_sub(&host->event_messages, event->count);
    log_lost(event, event->count);
    pool_free(&pool);
}
