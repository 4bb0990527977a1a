/* append.c: messages into a mailbox here (RFC 3501 6.3.11, RFC 3502, RFC 4315 3), for APPEND and for copies from other
 * servers: their bytes go straight to stage files. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/local-private.h"
#include "imap/store/append.h"
#include "imap/store/quota.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mail/date.h"
#include "lib/name/identity.h"

/* A message as it is to enter. */
struct staged {
    struct staged *next;
    struct append_message how;
    struct stage *stage; /* NULL before its first bytes */
    bool strict, binary;
};

struct leg_sink {
    struct local_leg *l;
    struct command *cmd;
    struct local_mailbox to;
    struct staged *first, **last;
    struct staged *now; /* the one that comes */
    int64_t count;
    uint64_t size, bytes; /* of the one that comes, of all, as announced */
    bool replaces;        /* of the message that goes, in the same quota root: */
    uint64_t freed;       /* its bytes */
    uint32_t replaced;    /* its UID, if it is in this mailbox: it goes with the commit; else 0 */
};

static int refuse(struct leg_sink *s, const char *text)
{
    s->cmd->failure = text;
    return ERR_REFUSED;
}

/* ---- what a message is ---- */

/* "\Seen $lab" as a list. */
static const char *const *split_words(struct pool *pool, const char *flags)
{
    struct imap_args args;
    const char **list = pool_alloc(pool, (strlen(flags) + 2) * sizeof(*list));
    size_t n = 0;

    imap_args_init(&args, pool, flags, strlen(flags));
    while (!imap_args_at_end(&args) && imap_args_flag(&args, true, &list[n]) == 0) {
        n++;
        imap_args_skip(&args, ' ');
    }
    list[n] = NULL;
    return list;
}

/* Takes the flags that the user may set there (RFC 4314 section 4: others are left out silently). */
static void set_flags(struct leg_sink *s, const char *flags)
{
    struct append_message *how = &s->now->how;

    local_split_flags(s->cmd->pool, split_words(s->cmd->pool, flags), &how->system, &how->keywords);
    how->system &= local_settable(s->to.rights);
    if ((s->to.rights & ACL_WRITE) == 0)
        how->keywords = NULL;
}

static int set_date(struct leg_sink *s, const char *date)
{
    struct append_message *how = &s->now->how;
    int r = mail_date_time_parse(date, strlen(date), &how->internal_date, &how->internal_zone);

    how->has_internal_date = r == 0;
    return r < 0 && s->now->strict ? refuse(s, "Invalid date-time") : 0;
}

/* The message has come whole. */
static int end_message(struct leg_sink *s)
{
    struct staged *m = s->now;
    struct stage_info info;
    int r;

    if (m == NULL)
        return 0;
    s->now = NULL;
    *s->last = m;
    s->last = &m->next;
    r = stage_finish(m->stage, &info);
    if (r < 0)
        return r;
    if (m->strict && info.has_nul && !m->binary)
        return refuse(s, "Message contains NUL characters");
    if (m->binary && info.has_nul)
        r = stage_encode_binary(&m->stage, &info);
    if (r == ERR_UNSUPPORTED)
        return refuse(s, "[UNKNOWN-CTE] NUL characters outside the body of a binary part");
    if (r < 0)
        return r;
    if (m->strict && !m->binary && info.has_bare_lf)
        return refuse(s, "Message contains bare newlines");
    return 0;
}

/* ---- the sink ---- */

int local_sink_open(struct leg *leg, struct command *cmd, const char *mailbox, struct leg_sink **sink_r)
{
    struct leg_sink *s = xcalloc(1, sizeof(*s));

    *sink_r = s;
    s->l = (struct local_leg *)leg;
    s->cmd = cmd;
    s->last = &s->first;
    return local_lookup_with(cmd, mailbox, ACL_INSERT, &s->to);
}

/* Of another mailbox: the caller removes it. */
int local_sink_replace(struct leg_sink *s, const char *number, bool uid)
{
    struct view_message old;
    struct mailbox *from, *to;
    struct uid_set uids;
    int r = local_uids(s->l, s->cmd->pool, number, uid, &uids);

    if (r == 0)
        r = view_read_uid(s->l->view, uid_set_first(&uids), &old);
    uid_set_free(&uids);
    if (r == 0)
        r = view_mailbox(s->l->view, &from);
    if (r == 0)
        r = local_open(s->l, &s->to, &to);
    if (r < 0)
        return r;
    s->replaces = strcmp(mailbox_header(from)->quota_root, mailbox_header(to)->quota_root) == 0;
    s->freed = old.record.size;
    if (strcmp(mailbox_id(from), mailbox_id(to)) == 0)
        s->replaced = old.record.uid;
    mailbox_close(&to);
    return s->replaced != 0 ? 0 : ERR_UNSUPPORTED;
}

/* May what has been announced come in?  Of a replacement only what it is longer. */
static int check_quota(struct leg_sink *s, const char *root)
{
    uint64_t bytes = s->bytes, messages = (uint64_t)s->count;

    if (s->replaces) {
        bytes -= bytes < s->freed ? bytes : s->freed;
        messages--;
    }
    if (bytes == 0 && messages == 0)
        return 0;
    return store_quota_check(s->l->env->store, root, QUOTA_STRICT, bytes, messages);
}

/* RFC 5257 section 4.7.  Of a copy those go along that may (section 4.6). */
static int set_annotations(struct leg_sink *s, const struct leg_append *what)
{
    const char *userid = s->l->leg.client->identity->userid;
    struct append_message *how = &s->now->how;
    struct annotate_change *changes;
    int r;

    if (what->annotations == NULL || what->annotations->count == 0)
        return 0;
    how->annotation_count =
        annotate_allowed_of(what->annotations, userid, s->to.rights, s->cmd->pool, &changes);
    how->annotations = changes;
    if (what->strict && how->annotation_count < what->annotations->count)
        return ERR_DENIED;
    r = annotate_check(changes, how->annotation_count);
    if (r < 0 && !what->strict)
        how->annotation_count = 0;
    return r < 0 && what->strict
               ? refuse(s, pool_printf(s->cmd->pool, "[%s] An annotation is too big, or there are too many",
                                       annotate_code(r)))
               : 0;
}

int local_sink_message(struct leg_sink *s, const struct leg_append *what)
{
    int r = end_message(s);

    if (r < 0)
        return r;
    s->now = xcalloc(1, sizeof(*s->now));
    s->now->strict = what->strict;
    s->count++;
    s->size = 0;
    set_flags(s, what->flags);
    r = set_annotations(s, what);
    if (r < 0)
        return r;
    return what->internal_date != NULL ? set_date(s, what->internal_date) : 0;
}

/* Before the bytes: what is over the quota is refused here, the commit checks again. */
static int check_room(struct leg_sink *s)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);
    struct mailbox *mailbox;
    int r = local_open(s->l, &s->to, &mailbox);

    if (r < 0)
        return r;
    if (mailbox_header(mailbox)->quota_root[0] != '\0')
        r = check_quota(s, mailbox_header(mailbox)->quota_root);
    mailbox_close(&mailbox);
    return r == 0 && max > 0 && s->size > (uint64_t)max ? ERR_TOOBIG : r;
}

int local_sink_part(struct leg_sink *s, const struct leg_part *part)
{
    int r;

    if (part->size > INT64_MAX - s->bytes)
        return ERR_TOOBIG;
    s->size += part->size;
    s->bytes += part->size;
    s->now->binary = s->now->binary || part->binary;
    r = check_room(s);
    if (r == 0 && s->now->stage == NULL)
        r = stage_new(s->l->env->store, s->to.record.partition, &s->now->stage);
    return r;
}

int local_sink_write(struct leg_sink *s, const char *data, size_t len)
{
    size_t n = len < 65536 ? len : 65536; /* fits the result */
    int r = n > 0 ? stage_write(s->now->stage, data, n) : 0;

    return r < 0 ? r : (int)n;
}

/* All are staged: into the mailbox with them, all or none. */
static int enter(struct leg_sink *s, struct append_result *result_r)
{
    struct mailbox_reader reader;
    struct append *append;
    struct mailbox *mailbox;
    int r = local_open(s->l, &s->to, &mailbox);

    *result_r = (struct append_result){0};
    if (r < 0)
        return r;
    reader = local_reader(s->l, s->to.record.name, mailbox_header(mailbox));
    append_begin(mailbox, &reader, &append);
    for (struct staged *m = s->first; m != NULL && r == 0; m = m->next)
        r = append_add(append, &m->stage, &m->how);
    if (s->replaced != 0)
        append_replace(append, s->replaced);
    if (r == 0)
        r = append_commit(&append, s->replaces && s->replaced == 0 ? QUOTA_IGNORE : QUOTA_STRICT, result_r);
    else
        append_abort(&append);
    mailbox_close(&mailbox);
    return r;
}

int local_sink_commit(struct leg_sink *s, struct leg_appended *result_r)
{
    struct append_result result;
    int r = end_message(s);

    if (r == 0 && s->replaces)
        r = check_room(s);
    if (r == 0)
        r = enter(s, &result);
    if (r < 0)
        return r;
    if (s->replaced != 0) /* RFC 7162 3.2.7 */
        s->l->tell_modseq = s->l->tell_modseq || local_enabled(s->l, ENABLED_QRESYNC);
    result_r->uidvalidity = result.uidvalidity;
    local_event_new(s->l, s->cmd, &s->to.record, &result.uids);
    seqset_init(&result_r->uids, s->cmd->pool);
    for (size_t i = 0; i < result.uids.count; i++)
        seqset_add_range(&result_r->uids, result.uids.ranges[i].first, result.uids.ranges[i].last);
    uid_set_free(&result.uids);
    return 0;
}

int local_sink_cancel(struct leg_sink *s)
{
    (void)s;
    return 0;
}

static void free_staged(struct staged *m)
{
    while (m != NULL) {
        struct staged *next = m->next;

        stage_free(&m->stage);
        free(m);
        m = next;
    }
}

void local_sink_close(struct leg_sink **sink)
{
    if (*sink == NULL)
        return;
    free_staged((*sink)->first);
    free_staged((*sink)->now);
    free(*sink);
    *sink = NULL;
}
