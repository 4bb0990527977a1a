/* perform.c: does what a script has decided. */
#include <string.h>

#include "imap/sievehost/compose.h"
#include "imap/sievehost/host-private.h"
#include "imap/sievehost/memory.h"
#include "imap/sievehost/outgoing.h"
#include "imap/sievehost/remote.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

enum {
    DONE_S = 3 * 24 * 60 * 60, /* how long a message may come again */
    DUPLICATE_S = 7 * 24 * 60 * 60,
    DUPLICATE_MAX_S = 90 * 24 * 60 * 60,
    REFUSAL_LINES = 20,
    REFUSAL_LINE = 400
};

static const char *const action_names[] = {
    [SIEVE_KEEP] = "keep",     [SIEVE_FILEINTO] = "fileinto",   [SIEVE_REDIRECT] = "redirect",
    [SIEVE_REJECT] = "reject", [SIEVE_EREJECT] = "ereject",     [SIEVE_VACATION] = "vacation",
    [SIEVE_NOTIFY] = "notify", [SIEVE_DUPLICATE] = "duplicate",
};

static void log_action(const struct sieve_recipient *r, const struct sieve_action *action, const char *to)
{
    const char *id = r->job->envelope.message_id;

    LOG(LOG_INFO, SIEVE_ACTION, LOG_STR(USER, r->userid), LOG_STR(NAME, action_names[action->kind]),
        LOG_STR(VALUE, to), LOG_STR(MSGID, id != NULL ? id : ""));
}

static void log_trouble(const struct sieve_recipient *r, const struct sieve_action *action, const char *to,
                        int error, const char *why)
{
    const char *id = r->job->envelope.message_id;

    LOG(LOG_WARNING, SIEVE_TROUBLE, LOG_STR(USER, r->userid), LOG_STR(NAME, action_names[action->kind]),
        LOG_STR(VALUE, to), LOG_STR(MSGID, id != NULL ? id : ""), LOG_ERROR(error), LOG_STR(TEXT, why));
}

/* ---- what was done already ---- */

/* What an action of this message is remembered by, in the pool; NULL: the message has no id. */
static const char *done_key(struct sieve_recipient *r, const struct sieve_action *action, const char *to)
{
    const char *id = r->job->envelope.message_id;

    return id != NULL ? pool_printf(r->pool, "%s\n%s\n%s", action_names[action->kind], to, id) : NULL;
}

static bool is_done(struct sieve_recipient *r, const char *key)
{
    return key != NULL &&
           memory_knows(r->job->host->memory, MEMORY_DONE, r->userid, key, strlen(key), clock_wall());
}

static void mark_done(struct sieve_recipient *r, const char *key)
{
    if (key != NULL)
        memory_mark(r->job->host->memory, MEMORY_DONE, r->userid, key, strlen(key), clock_wall() + DONE_S, 0);
}

/* ---- the message ---- */

struct content {
    const char *header, *body;
    size_t header_len, body_len;
};

/* As the action sees it: maybe with an edited header. */
static struct content content_of(const struct sieve_recipient *r, const struct sieve_action *action)
{
    const struct sieve_envelope *e = &r->job->envelope;
    size_t own = mail_header_size(e->data, e->len);

    return (struct content){
        .header = action->header != NULL ? action->header : e->data,
        .header_len = action->header != NULL ? action->header_len : own,
        .body = e->data + own,
        .body_len = e->len - own,
    };
}

static int64_t action_deadline(const struct sieve_recipient *r)
{
    int64_t deadline = clock_deadline(SIEVEHOST_ACTION_MS);

    return deadline < r->job->deadline ? deadline : r->job->deadline;
}

static bool is_utf8_mail(const struct outgoing *mail)
{
    bool ascii = str_is_ascii(mail->from, strlen(mail->from));

    for (size_t i = 0; mail->to[i] != NULL; i++)
        ascii = ascii && str_is_ascii(mail->to[i], strlen(mail->to[i]));
    return !ascii;
}

static struct compose compose_for(struct sieve_recipient *r, const struct content *content)
{
    const char *host = config_servername();
    unsigned char random[12];
    char hex[2 * sizeof(random) + 1];

    digest_random(random, sizeof(random));
    str_hex(hex, random, sizeof(random));
    return (struct compose){
        .pool = r->pool,
        .header = content->header,
        .header_len = content->header_len,
        .owner = r->owner,
        .host = pool_strndup(r->pool, host, strcspn(host, ":")),
        .now = clock_wall(),
        .id = pool_printf(r->pool, "sieve.%s", hex),
    };
}

/* ---- filing ---- */

static struct sieve_filing *add_filing(struct sieve_recipient *r, const struct mboxlist_record *record)
{
    struct sieve_filing *filing = pool_alloc(r->pool, sizeof(*filing));

    if (record != NULL) {
        filing->name = pool_strdup(r->pool, record->name);
        filing->partition = pool_strdup(r->pool, record->partition);
        filing->id = pool_strdup(r->pool, record->id);
    }
    *r->tail = filing;
    r->tail = &filing->next;
    return filing;
}

static void keep(struct sieve_recipient *r, const struct sieve_action *action)
{
    struct sieve_filing *filing = add_filing(r, NULL);

    r->kept = true;
    if (action != NULL) {
        filing->flags = action->target.flags;
        filing->header = action->header;
        filing->header_len = action->header_len;
    }
}

/* The record of what was not there, made; PLACE_HERE, or an error. */
static int make(struct sieve_recipient *r, const struct sieve_target *target, const char *internal,
                struct mboxlist_record *record, struct buf *why)
{
    int result = mailbox_make(r, internal, target->special_use, why);

    return result == 0 ? mailbox_find(r, internal, record) : result;
}

static int append_elsewhere(struct sieve_recipient *r, const struct sieve_target *target,
                            const struct content *content, const struct mboxlist_record *record,
                            struct buf *why)
{
    struct remote_message message = {
        .server = record->server,
        .userid = r->userid,
        .flags = target->flags,
        .header = content->header,
        .header_len = content->header_len,
        .body = content->body,
        .body_len = content->body_len,
    };
    struct buf external = BUF_INIT;
    int result = namespace_to_external(&r->ns, record->name, &external);

    message.mailbox = buf_cstr(&external);
    if (result == 0)
        result = remote_append(&message, action_deadline(r), why);
    buf_free(&external);
    return result;
}

/* Puts content where a target says.  0, PLACE_HERE with the record of a mailbox of this server, or an error. */
static int put(struct sieve_recipient *r, const struct sieve_target *target, const struct content *content,
               struct mboxlist_record *record, struct buf *why)
{
    const char *internal;
    int place = mailbox_of_target(r, target, &internal, record);

    if (place == PLACE_NOWHERE && target->create && internal != NULL)
        place = make(r, target, internal, record, why);
    if (place == PLACE_NOWHERE)
        return ERR_NOTFOUND;
    if (place != PLACE_ELSEWHERE)
        return place;
    return append_elsewhere(r, target, content, record, why);
}

/* Those that the owner may set there: in others' mailboxes \\Seen is each reader's own matter. */
static const char *const *allowed_flags(struct sieve_recipient *r, const struct mboxlist_record *record,
                                        const char *const *flags)
{
    rights_t rights = identity_rights(r->job->host->names, record->acl, r->identity, record->name);
    bool own = mboxname_is_owner(r->job->host->names, record->name, r->userid);
    const char **allowed;
    size_t n = 0, count = 0;

    while (flags != NULL && flags[count] != NULL)
        count++;
    allowed = pool_alloc(r->pool, (count + 1) * sizeof(*allowed));
    for (size_t i = 0; i < count; i++)
        if (str_ieq(flags[i], "\\Seen")      ? own
            : str_ieq(flags[i], "\\Deleted") ? (rights & ACL_DELETE_MSG) != 0
                                             : (rights & ACL_WRITE) != 0)
            allowed[n++] = flags[i];
    return flags != NULL ? allowed : NULL;
}

static int fileinto(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const struct content content = content_of(r, action);
    const char *key = done_key(r, action, action->target.mailbox);
    struct mboxlist_record record;
    struct sieve_filing *filing;
    int result = is_done(r, key) ? 0 : put(r, &action->target, &content, &record, why);

    if (result == 0)
        mark_done(r, key);
    if (result != PLACE_HERE)
        return result;
    filing = add_filing(r, &record);
    filing->flags = allowed_flags(r, &record, action->target.flags);
    filing->header = action->header;
    filing->header_len = action->header_len;
    return 0;
}

/* A copy of what was sent (RFC 8580): trouble with it is told, and no more. */
static void file_copy(struct sieve_recipient *r, const struct sieve_action *action, const struct buf *sent)
{
    const struct content content = {
        .header = pool_memdup(r->pool, sent->data, sent->len), .header_len = sent->len, .body = ""};
    struct mboxlist_record record;
    struct sieve_filing *filing;
    struct buf why = BUF_INIT;
    int result;

    if (!action->has_fcc)
        return;
    result = put(r, &action->target, &content, &record, &why);
    if (result == PLACE_HERE) {
        filing = add_filing(r, &record);
        filing->flags = allowed_flags(r, &record, action->target.flags);
        filing->header = content.header;
        filing->header_len = content.header_len;
        filing->is_copy = true;
    } else if (result < 0) {
        log_trouble(r, action, action->target.mailbox, result, buf_cstr(&why));
    }
    buf_free(&why);
}

/* ---- redirect ---- */

static unsigned count_hops(const struct content *content)
{
    struct mail_header_iter it;
    struct mail_field field;
    unsigned hops = 0;

    mail_header_begin(&it, content->header, content->header_len);
    while (mail_header_next(&it, &field))
        hops += mail_field_is(&field, "Received");
    return hops;
}

static bool is_own(const struct sieve_recipient *r, const char *address)
{
    for (size_t i = 0; r->addresses[i] != NULL; i++)
        if (str_ieq(r->addresses[i], address))
            return true;
    return str_ieq(r->address, address);
}

static int send_on(struct sieve_recipient *r, const struct sieve_action *action, const char *const *to,
                   struct buf *why)
{
    const struct content content = content_of(r, action);
    size_t skip = compose_skip_return_path(content.header, content.header_len);
    struct outgoing mail = {
        .from = r->job->envelope.from,
        .to = to,
        .header = content.header + skip,
        .header_len = content.header_len - skip,
        .body = content.body,
        .body_len = content.body_len,
    };

    mail.utf8 = r->job->envelope.utf8 || is_utf8_mail(&mail);
    if (count_hops(&content) > SIEVEHOST_HOPS_MAX) {
        buf_puts(why, "too many Received fields");
        return ERR_LIMIT;
    }
    return outgoing_send(&mail, action_deadline(r), why);
}

/* Sends it, but not a second time.  From whom it was sent to it may come back, by way of more servers: then it goes in a
 * circle, and is kept, or it would be nowhere. */
static int send_on_once(struct sieve_recipient *r, const struct sieve_action *action, const char *const *to,
                        struct buf *why)
{
    const struct content content = content_of(r, action);
    const char *key = done_key(r, action, action->address);
    const char *way = key != NULL ? pool_printf(r->pool, "%s\n%u", key, count_hops(&content)) : NULL;
    int result;

    if (is_done(r, way))
        return 0;
    if (is_done(r, key)) {
        buf_puts(why, "it was sent there before, and has come another way");
        return ERR_EXISTS;
    }
    result = send_on(r, action, to, why);
    if (result == 0) {
        mark_done(r, way);
        mark_done(r, key);
    }
    return result;
}

/* RFC 6134: to all in a list, but for the owner. */
static int redirect_to_list(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const char *const *all;
    const char **others;
    size_t count = 0, n = 0;
    int result = list_addresses(r, action->address, &all);

    if (result < 0)
        return result;
    while (all[count] != NULL)
        count++;
    others = pool_alloc(r->pool, (count + 1) * sizeof(*others));
    for (size_t i = 0; i < count; i++)
        if (!is_own(r, all[i]))
            others[n++] = all[i];
    result = n > 0 ? send_on_once(r, action, others, why) : 0;
    if (result == 0 && n < count && !r->kept)
        keep(r, action);
    return result;
}

/* To oneself is a keep: it would come back for ever. */
static int redirect(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    if (action->list)
        return redirect_to_list(r, action, why);
    if (!is_own(r, action->address))
        return send_on_once(r, action, (const char *const[]){action->address, NULL}, why);
    keep(r, action);
    return 0;
}

/* ---- reject ---- */

/* Lines that may stand in a reply; others, and what is beyond ASCII, are replaced (RFC 5429 2.1.1). */
static const char *refusal_text(struct sieve_recipient *r, const struct sieve_string *reason)
{
    struct buf text = BUF_INIT;
    size_t line = 0, lines = 1;
    const char *kept;

    for (size_t i = 0; i < reason->len && lines <= REFUSAL_LINES; i++) {
        char c = reason->data[i];

        if (c == '\n') {
            buf_puts(&text, i + 1 < reason->len ? "\n" : "");
            line = 0;
            lines++;
        } else if ((unsigned char)c >= ' ' && c != 127 && line++ < REFUSAL_LINE) {
            buf_putc(&text, c);
        }
    }
    kept = text.len > 0 ? pool_strdup(r->pool, buf_cstr(&text)) : "The recipient refuses this message";
    buf_free(&text);
    return kept;
}

/* In the protocol, where that is what the script asks for or what can be done (RFC 5429 2.2). */
static bool is_refused_in_protocol(const struct sieve_recipient *r, const struct sieve_action *action)
{
    return action->kind == SIEVE_EREJECT || *r->job->envelope.from == '\0' ||
           (opt_switch(OPT_SIEVE_USE_LMTP_REJECT) && str_is_ascii(action->reason.data, action->reason.len));
}

static int send_refusal(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const struct content content = content_of(r, action);
    struct compose compose = compose_for(r, &content);
    const char *postmaster = opt_string(OPT_POSTMASTER);
    struct buf message = BUF_INIT;
    struct outgoing mail = {.from = "", .to = (const char *const[]){r->job->envelope.from, NULL}, .body = ""};
    int result;

    if (strchr(postmaster, '@') == NULL)
        postmaster = pool_printf(r->pool, "%s@%s", postmaster, compose.host);
    compose_refusal(&compose, postmaster, r->job->envelope.from, &action->reason, &message);
    mail.header = message.data;
    mail.header_len = message.len;
    mail.utf8 = is_utf8_mail(&mail);
    result = outgoing_send(&mail, action_deadline(r), why);
    buf_free(&message);
    return result;
}

static int refuse(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const char *key = done_key(r, action, r->job->envelope.from);
    static const struct sieve_string nothing = {"", 0};
    int result;

    if (is_refused_in_protocol(r, action)) {
        bool ascii = str_is_ascii(action->reason.data, action->reason.len);

        r->outcome.refusal = refusal_text(r, ascii ? &action->reason : &nothing);
        return 0;
    }
    result = is_done(r, key) ? 0 : send_refusal(r, action, why);
    if (result == 0)
        mark_done(r, key);
    return result;
}

/* ---- vacation ---- */

/* What is remembered of an answer, in the pool. */
static const char *vacation_key(struct sieve_recipient *r, const struct sieve_action *action)
{
    char *to = pool_strdup(r->pool, action->address);

    str_lower(to);
    return pool_printf(r->pool, "%.*s\n%s", (int)action->handle.len, action->handle.data, to);
}

static bool has_answered(struct sieve_recipient *r, const struct sieve_action *action)
{
    const char *key = vacation_key(r, action);

    return memory_knows(r->job->host->memory, MEMORY_VACATION, r->userid, key, strlen(key), clock_wall());
}

static int send_answer(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const struct content content = content_of(r, action);
    struct compose compose = compose_for(r, &content);
    struct buf message = BUF_INIT;
    struct outgoing mail = {.from = "", .to = (const char *const[]){action->address, NULL}, .body = ""};
    int result;

    compose_vacation(&compose, action, &message);
    mail.header = message.data;
    mail.header_len = message.len;
    mail.utf8 = is_utf8_mail(&mail);
    result = outgoing_send(&mail, action_deadline(r), why);
    if (result == 0)
        file_copy(r, action, &message);
    buf_free(&message);
    return result;
}

/* Remembered before it is sent, so that of two messages at one time one is answered. */
static int answer(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    struct memory *memory = r->job->host->memory;
    const char *key = vacation_key(r, action);
    int64_t now = clock_wall();
    int result =
        memory_mark(memory, MEMORY_VACATION, r->userid, key, strlen(key), now + action->seconds, now);

    if (result < 0)
        return result == ERR_EXISTS ? 0 : result;
    result = send_answer(r, action, why);
    if (result < 0)
        memory_forget(memory, MEMORY_VACATION, r->userid, key, strlen(key));
    return result;
}

/* ---- notify ---- */

static int notify(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    const struct content content = content_of(r, action);
    const char *key = done_key(r, action, action->address);
    struct compose compose = compose_for(r, &content);
    struct buf message = BUF_INIT;
    struct outgoing mail = {.body = ""};
    struct mailto mailto;
    int result;

    if (is_done(r, key))
        return 0;
    mailto_parse(r->pool, action->address, &mailto);
    if (mailto.count == 0) {
        buf_puts(why, "no recipient");
        return ERR_INVALID;
    }
    compose_notification(&compose, action, &mailto, &message);
    mail.from = *r->job->envelope.from != '\0' ? r->owner : ""; /* RFC 5436 2.7 */
    mail.to = (const char *const *)mailto.to;
    mail.header = message.data;
    mail.header_len = message.len;
    mail.utf8 = is_utf8_mail(&mail);
    result = outgoing_send(&mail, action_deadline(r), why);
    if (result == 0) {
        mark_done(r, key);
        file_copy(r, action, &message);
    }
    buf_free(&message);
    return result;
}

/* ---- all ---- */

static bool target_has_to_wait(struct sieve_recipient *r, const struct sieve_action *action)
{
    struct mboxlist_record record;
    const char *internal;
    int place = mailbox_of_target(r, &action->target, &internal, &record);

    return place == PLACE_ELSEWHERE || place == ERR_AGAIN ||
           (place == PLACE_NOWHERE && action->target.create);
}

static bool has_to_wait(struct sieve_recipient *r, const struct sieve_action *action)
{
    switch (action->kind) {
    case SIEVE_KEEP:
    case SIEVE_EREJECT:
    case SIEVE_DUPLICATE:
        return false;
    case SIEVE_FILEINTO:
        return target_has_to_wait(r, action);
    case SIEVE_REJECT:
        return !is_refused_in_protocol(r, action);
    case SIEVE_VACATION:
        return !has_answered(r, action);
    case SIEVE_REDIRECT:
    case SIEVE_NOTIFY:
        break;
    }
    return true;
}

bool recipient_has_to_wait(struct sieve_recipient *r)
{
    for (const struct sieve_action *a = r->result.actions; a != NULL; a = a->next)
        if (has_to_wait(r, a))
            return true;
    return false;
}

/* How many actions of all messages may wait at one place: a server or a domain that hangs shall leave threads to the
 * others, and a user who sends on all his mail to the other users. */
enum { AT_MAIL = 48, AT_DOMAIN = 16, AT_SERVER = 16, OF_USER = 8, OF_USER_WAITING = COURIER_QUEUE_MAX / 4 };

static void add_place(struct sieve_recipient *r, const struct sieve_action *action)
{
    struct courier_task *task = &r->job->task;
    struct mboxlist_record record;
    const char *internal, *domain;

    if (action->kind == SIEVE_FILEINTO) {
        if (mailbox_of_target(r, &action->target, &internal, &record) == PLACE_ELSEWHERE)
            courier_place_add(task, pool_strdup(r->pool, record.server), AT_SERVER);
        return;
    }
    courier_place_add(task, "mail", AT_MAIL);
    domain = action->kind == SIEVE_REDIRECT && action->address != NULL ? strrchr(action->address, '@') : NULL;
    if (domain != NULL)
        courier_place_add(task, domain, AT_DOMAIN);
}

void recipient_add_places(struct sieve_recipient *r)
{
    bool waits = false;

    for (const struct sieve_action *a = r->result.actions; a != NULL; a = a->next) {
        if (!has_to_wait(r, a))
            continue;
        add_place(r, a);
        waits = true;
    }
    if (waits)
        courier_place_share(&r->job->task, pool_printf(r->pool, "user %s", r->userid), OF_USER,
                            OF_USER_WAITING);
}

static const char *object_of(const struct sieve_recipient *r, const struct sieve_action *action)
{
    switch (action->kind) {
    case SIEVE_FILEINTO:
        return action->target.mailbox;
    case SIEVE_REJECT:
    case SIEVE_EREJECT:
        return r->job->envelope.from;
    default:
        return action->address != NULL ? action->address : "";
    }
}

/* 0, or what it failed with. */
static int perform(struct sieve_recipient *r, const struct sieve_action *action, struct buf *why)
{
    switch (action->kind) {
    case SIEVE_FILEINTO:
        return fileinto(r, action, why);
    case SIEVE_REDIRECT:
        return redirect(r, action, why);
    case SIEVE_REJECT:
    case SIEVE_EREJECT:
        return refuse(r, action, why);
    case SIEVE_VACATION:
        return has_answered(r, action) ? 0 : answer(r, action, why);
    case SIEVE_NOTIFY:
        return notify(r, action, why);
    case SIEVE_KEEP:
        keep(r, action);
        return 0;
    case SIEVE_DUPLICATE: /* when the message is there: sieve_recipient_settle() */
        break;
    }
    return 0;
}

static void perform_and_log(struct sieve_recipient *r, const struct sieve_action *action)
{
    struct buf why = BUF_INIT;
    int result = perform(r, action, &why);

    if (result < 0) {
        log_trouble(r, action, object_of(r, action), result, buf_cstr(&why));
        r->failed |= action->kind != SIEVE_VACATION && action->kind != SIEVE_NOTIFY;
    } else if (action->kind != SIEVE_KEEP && action->kind != SIEVE_DUPLICATE) {
        log_action(r, action, object_of(r, action));
    }
    buf_free(&why);
}

void recipient_perform(struct sieve_recipient *r)
{
    r->tail = &r->outcome.filings;
    for (const struct sieve_action *a = r->result.actions; a != NULL; a = a->next)
        perform_and_log(r, a);
    if (r->failed && !r->kept)
        keep(r, NULL);
}

void sieve_recipient_settle(struct sieve_recipient *r)
{
    for (const struct sieve_action *a = r->result.actions; a != NULL; a = a->next) {
        int64_t seconds = a->seconds == 0                ? DUPLICATE_S
                          : a->seconds < DUPLICATE_MAX_S ? a->seconds
                                                         : DUPLICATE_MAX_S;

        if (a->kind == SIEVE_DUPLICATE)
            memory_mark(r->job->host->memory, MEMORY_DUPLICATE, r->userid, a->handle.data, a->handle.len,
                        clock_wall() + seconds, 0);
    }
}
