/* ask.c: a script at work: what it asks of the world. */
#include <string.h>

#include "config.h"
#include "imap/sievehost/compiled.h"
#include "imap/sievehost/host-private.h"
#include "imap/sievehost/memory.h"
#include "imap/sievehost/scores.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/charset/utf7.h"
#include "lib/mail/header.h"

static int include(void *context, const char *name, bool global, const struct sieve_script **script_r)
{
    struct sieve_recipient *r = context;
    struct buf errors = BUF_INIT;
    struct included *included;
    struct compiled *script;
    int result = compiled_named(r->job->host->names, r->userid, name, global, &errors, &script);

    buf_free(&errors);
    if (result < 0)
        return result;
    included = pool_alloc(r->pool, sizeof(*included));
    *included = (struct included){r->included, script};
    r->included = included;
    *script_r = compiled_script(script);
    return 0;
}

static int mailbox(void *context, enum sieve_mailbox_fact fact, const char *name)
{
    struct sieve_recipient *r = context;
    struct mboxlist_record record;
    int result;

    if (fact == SIEVE_MAILBOX_HAS_ID) {
        result = mboxlist_lookup_id(r->job->host->list, name, r->pool, &record);
        if (result < 0)
            return result == ERR_NOTFOUND ? 0 : result;
        name = record.name;
    } else {
        name = mailbox_internal(r, name);
    }
    result = name != NULL ? mailbox_find(r, name, &record) : PLACE_NOWHERE;
    return result < 0 ? result : result != PLACE_NOWHERE;
}

static int special_use(void *context, const char *name, const char *flag)
{
    struct sieve_recipient *r = context;
    struct mboxlist_record record;
    int result;

    if (name == NULL)
        return mailbox_of_use(r, flag, &record);
    name = mailbox_internal(r, name);
    result = name != NULL ? mailbox_find(r, name, &record) : PLACE_NOWHERE;
    return result > 0 ? mailbox_has_use(r, &record, flag) : result;
}

/* RFC 6785 4.2 to 4.5: of a delivery they are empty. */
static int event_item(struct sieve_recipient *r, const char *item, struct buf *value)
{
    const struct job_event *event = r->job->event;
    struct buf external = BUF_INIT;
    const char *text = "";

    if (event != NULL && str_ieq(item, "imap.mailbox")) {
        if (namespace_to_external(&r->ns, event->mailbox, &external) == 0)
            utf7_to_utf8(buf_cstr(&external), external.len, value);
        buf_free(&external);
        return 1;
    }
    if (event != NULL)
        text = str_ieq(item, "imap.user")           ? event->userid
               : str_ieq(item, "imap.email")        ? event->email
               : str_ieq(item, "imap.cause")        ? event->cause
               : str_ieq(item, "imap.changedflags") ? event->changed
                                                    : NULL;
    else if (!str_ieq(item, "imap.user") && !str_ieq(item, "imap.email") && !str_ieq(item, "imap.cause") &&
             !str_ieq(item, "imap.mailbox") && !str_ieq(item, "imap.changedflags"))
        text = NULL;
    if (text != NULL)
        buf_puts(value, text);
    return text != NULL;
}

/* RFC 5183 4.1 */
static int environment(void *context, const char *item, struct buf *value)
{
    struct sieve_recipient *r = context;
    const char *host = config_servername();
    size_t host_len = strcspn(host, ":");
    const char *dot = memchr(host, '.', host_len);

    if (str_ieq(item, "name"))
        buf_puts(value, "iatlas");
    else if (str_ieq(item, "version"))
        buf_puts(value, PACKAGE_VERSION);
    else if (str_ieq(item, "location"))
        buf_puts(value, r->job->event != NULL ? "MS" : "MDA");
    else if (str_ieq(item, "phase"))
        buf_puts(value, r->job->event != NULL ? "post" : "during");
    else if (str_ieq(item, "host"))
        buf_append(value, host, host_len);
    else if (str_ieq(item, "domain") && dot != NULL)
        buf_append(value, dot + 1, (size_t)(host + host_len - dot - 1));
    else if (str_ieq(item, "remote-ip") && *r->job->envelope.peer != '\0')
        buf_puts(value, r->job->envelope.peer);
    else
        return event_item(r, item, value);
    return 1;
}

static int is_duplicate(void *context, const struct sieve_string *id)
{
    const struct sieve_recipient *r = context;

    return memory_knows(r->job->host->memory, MEMORY_DUPLICATE, r->userid, id->data, id->len, clock_wall());
}

static int metadata(void *context, const char *mailbox, const char *name, struct buf *value)
{
    return annotation_of(context, mailbox, name, value);
}

/* RFC 5235: of the header as it came, whatever the script has made of it. */
static int spam(void *context, bool percent, struct buf *value)
{
    const struct sieve_envelope *e = &((struct sieve_recipient *)context)->job->envelope;

    return score_spam(e->data, mail_header_size(e->data, e->len), percent, value);
}

static int virus(void *context, struct buf *value)
{
    const struct sieve_envelope *e = &((struct sieve_recipient *)context)->job->envelope;

    return score_virus(e->data, mail_header_size(e->data, e->len), value);
}

static int in_list(void *context, const char *name, const struct sieve_string *value)
{
    const struct list *list;
    int result = list_find(context, name, &list);

    return result < 0 ? result : list_has(list, value);
}

static int list_is_known(void *context, const char *name)
{
    const struct list *list;
    int result = list_find(context, name, &list);

    return result == ERR_NOTFOUND ? 0 : result < 0 ? result : 1;
}

static void log_failure(const struct sieve_recipient *r)
{
    const char *id = r->job->envelope.message_id;

    LOG(LOG_WARNING, SIEVE_FAILED, LOG_STR(USER, r->userid), LOG_STR(MSGID, id != NULL ? id : ""),
        LOG_STR(ERROR, r->result.error));
}

void recipient_run(struct sieve_recipient *r)
{
    const struct sieve_envelope *envelope = &r->job->envelope;
    const struct sieve_message message = {
        .data = envelope->data,
        .len = envelope->len,
        .from = r->job->event != NULL ? NULL : envelope->from,
        .to = r->job->event != NULL ? NULL : r->address,
        .flags = r->job->event != NULL ? r->job->event->flags : NULL,
        .auth = envelope->auth,
    };
    struct sieve_job *job = r->job;
    const struct sieve_host host = {
        .context = r,
        .effort = r->may_wait ? 0 : job->effort_left,
        .deadline = job->deadline,
        .include = include,
        .mailbox = mailbox,
        .special_use = special_use,
        .environment = environment,
        .metadata = metadata,
        .is_duplicate = is_duplicate,
        .spam = spam,
        .virus = virus,
        .in_list = in_list,
        .list_is_known = list_is_known,
        .addresses = r->addresses,
        .vacation_least_s = (unsigned)(opt_duration_ms(OPT_SIEVE_VACATION_MIN_RESPONSE) / 1000),
        .vacation_most_s = (unsigned)(opt_duration_ms(OPT_SIEVE_VACATION_MAX_RESPONSE) / 1000),
    };
    int result = ERR_AGAIN;

    if (r->may_wait || job->effort_left > 0)
        result = sieve_run(compiled_script(r->script), &message, &host, r->pool, &r->result);
    job->effort_left -= r->result.effort < job->effort_left ? r->result.effort : job->effort_left;
    r->undecided = result == ERR_AGAIN;
    r->has_run = !r->undecided;
    if (r->has_run && r->result.error != NULL)
        log_failure(r);
}
