/* The recipients' scripts, and what they have decided. */
#include <string.h>

#include "imap/lmtp/local/local-private.h"
#include "imap/login/login.h"
#include "imap/sievehost/sievehost.h"
#include "imap/store/stage.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/engine/engine.h"
#include "lib/mail/header.h"

static void wake(void *session)
{
    session_wake(session);
}

static bool make_job(struct lmtpd_txn *txn, struct local_state *s)
{
    struct sieve_envelope envelope = {
        .from = txn->from,
        .auth = txn->auth,
        .peer = txn->login->peer,
        .session = txn->login->id,
        .message_id = s->message_id,
        .utf8 = txn->utf8,
    };
    int r = stage_map(s->stage, &envelope.data, &envelope.len);

    if (r == 0)
        s->job = sieve_job_new(s->local->sieve, &envelope);
    else
        LOG(LOG_ERR, SIEVE_SCRIPT, LOG_ERROR(r));
    return r == 0;
}

void local_start_scripts(struct lmtpd_txn *txn, struct local_state *s)
{
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next) {
        struct addressee *a = rcpt->target;
        struct compiled *script;

        if (rcpt->names.userid == NULL)
            continue;
        script = sievehost_script(s->local->sieve, rcpt->names.userid);
        if (script == NULL || (s->job == NULL && !make_job(txn, s))) {
            sievehost_script_release(&script);
            continue;
        }
        a->script = sieve_job_add(s->job, script, rcpt->names.userid, rcpt->original);
    }
    if (s->job != NULL)
        sieve_job_start(s->job, wake, txn->session);
}

/* ---- what they want ---- */

static void want(struct local_state *s, struct addressee *a, struct target *target)
{
    struct want *w = pool_alloc(s->pool, sizeof(*w));

    target->wanted = true;
    w->target = target;
    w->next = a->wants;
    a->wants = w;
}

/* Writes it: what the script has made, and of an edited message the body. */
static int write_edition(const struct local_state *s, struct edition *e)
{
    const char *data;
    size_t n, header;
    int r = stage_map(s->stage, &data, &n);

    if (r < 0)
        return r;
    header = mail_header_size(data, n);
    r = stage_write(e->stage, e->header, e->header_len);
    if (r == 0 && !e->is_copy)
        r = stage_write(e->stage, data + header, n - header);
    stage_unmap(data, n);
    return r == 0 ? stage_finish(e->stage, NULL) : r;
}

/* The message with that header; NULL: as it came. */
static struct edition *edition_of(struct local_state *s, const struct sieve_filing *filing,
                                  const char *partition)
{
    struct edition **at = &s->editions;

    if (filing->header == NULL)
        return NULL;
    while (*at != NULL && (*at)->header != filing->header)
        at = &(*at)->next;
    if (*at == NULL) {
        struct edition *e = *at = pool_alloc(s->pool, sizeof(*e));

        e->header = filing->header;
        e->header_len = filing->header_len;
        e->is_copy = filing->is_copy;
        e->error = stage_new(s->local->store, partition, &e->stage);
        if (e->error == 0)
            e->error = write_edition(s, e);
    }
    return *at;
}

static void want_filing(struct local_state *s, struct addressee *a, const struct sieve_filing *filing)
{
    bool own = filing->name == NULL;
    const char *partition = own ? a->own->partition : filing->partition;
    struct edition *edition = edition_of(s, filing, partition);
    struct target *target =
        local_target(s, own ? a->own->name : filing->name, partition, own ? a->own->id : filing->id, edition);

    if (filing->flags != NULL)
        target->flags = filing->flags;
    target->ignore_quota |= a->own->ignore_quota;
    want(s, a, target);
}

void local_plan(struct lmtpd_txn *txn, struct local_state *s)
{
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next) {
        struct addressee *a = rcpt->target;
        const struct sieve_filing *filing;

        if (a->script == NULL) {
            want(s, a, a->own);
            continue;
        }
        filing = sieve_recipient_outcome(a->script)->filings;
        for (; filing != NULL; filing = filing->next)
            want_filing(s, a, filing);
    }
}
