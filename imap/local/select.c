/* select.c: SELECT, EXAMINE, CLOSE, UNSELECT, and the news of the selected mailbox. */
#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/local-private.h"
#include "imap/session/capability.h"
#include "imap/session/notify.h"
#include "imap/session/select-params.h"
#include "imap/store/expunge.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/mboxname.h"
#include "lib/stream/stream.h"

/* Any of these makes a mailbox worth opening for writing (RFC 4314 5.2). */
enum { RIGHTS_READ_WRITE = ACL_INSERT | ACL_EXPUNGE | ACL_SEEN | ACL_WRITE | ACL_DELETE_MSG | ACL_ANNOTATE };

static void forget_news(struct local_leg *l)
{
    if (l->news != NULL) {
        struct pool *pool = l->news->pool;

        uid_set_free(&l->news->vanished);
        pool_free(&pool);
        l->news = NULL;
    }
}

void local_drop_view(struct local_leg *l)
{
    forget_news(l);
    if (l->watching)
        local_unwatch_index(l);
    l->fresh = 0;
    if (l->view != NULL)
        view_close(&l->view);
    uid_set_free(&l->saved);
    memset(l->flags_told, 0, sizeof(l->flags_told));
    l->told_modseq = 0;
    l->tell_modseq = false;
    l->examined = l->annotates = false;
}

void local_unselect(struct leg *leg)
{
    local_drop_view((struct local_leg *)leg);
}

/* ---- SELECT, EXAMINE ---- */

/* Opens the view; the reader depends on the mailbox's options, so its header is read first.  *read_only becomes true where the
 * disk is. */
static int open_view(struct local_leg *l, const struct local_mailbox *m, bool *read_only)
{
    struct mailbox_reader reader;
    struct mailbox *mailbox;
    int r = local_open(l, m, &mailbox);

    if (r < 0)
        return r;
    if (mailbox_cannot_write(mailbox)) {
        LOG(LOG_WARNING, IMAP_READONLY, LOG_STR(MAILBOX, m->record.name));
        *read_only = true;
    }
    reader = local_reader(l, m->record.name, mailbox_header(mailbox));
    r = view_of(&mailbox, &reader, *read_only, &l->view);
    if (r < 0)
        return r;
    str_copy(l->id, sizeof(l->id), m->record.id);
    l->rights = m->rights;
    l->in_deleted = mboxname_is_deleted(name_config(), m->record.name);
    return 0;
}

static void tell_highest(struct local_leg *l)
{
    stream_printf(l->leg.client->stream, "* OK [HIGHESTMODSEQ %llu] Ok\r\n",
                  (unsigned long long)view_highest_modseq(l->view));
}

static int tell_selected(struct local_leg *l)
{
    struct stream *out = l->leg.client->stream;
    bool rev2 = local_enabled(l, ENABLED_IMAP4REV2);
    struct mailbox *mailbox;
    uint32_t unseen = 0;
    int r = view_mailbox(l->view, &mailbox);

    if (r == 0)
        r = local_tell_flags(l, mailbox, true);
    if (r == 0 && !rev2)
        r = view_first_unseen(l->view, &unseen);
    if (r < 0)
        return r;
    stream_printf(out, "* %u EXISTS\r\n", view_exists(l->view));
    if (!rev2)
        stream_printf(out, "* %u RECENT\r\n", view_recent(l->view));
    if (unseen != 0 && !local_enabled(l, ENABLED_UIDONLY))
        stream_printf(out, "* OK [UNSEEN %u] Ok\r\n", unseen);
    stream_printf(out, "* OK [UIDVALIDITY %u] Ok\r\n* OK [UIDNEXT %u] Ok\r\n", view_uidvalidity(l->view),
                  view_uidnext(l->view));
    if (!capability_is_suppressed("CONDSTORE"))
        tell_highest(l);
    if (!capability_is_suppressed(ANNOTATE_CAPABILITY) && l->examined)
        stream_puts(out, "* OK [ANNOTATIONS READ-ONLY] Ok\r\n");
    else if (!capability_is_suppressed(ANNOTATE_CAPABILITY))
        stream_printf(out, "* OK [ANNOTATIONS %d] Ok\r\n", ANNOTATE_VALUE_MAX);
    if (!capability_is_suppressed("OBJECTID"))
        stream_printf(out, "* OK [MAILBOXID (%s)] Ok\r\n", l->id);
    return 0;
}

/* The same that cmd_select() has read. */
static void read_params(struct command *cmd, struct select_params *params)
{
    struct imap_args args;
    const char *ignored;

    command_args(cmd, &args);
    BUG_ON(imap_args_mailbox(&args, &ignored) < 0 || select_params_parse(&args, params) < 0);
}

enum step local_select(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct select_params params;
    struct local_mailbox m;
    bool examines = cmd->def->id == COMMAND_EXAMINE || opt_switch(OPT_READONLY), read_only;
    int r = local_lookup_with(cmd, cmd->mailbox, ACL_READ, &m);

    if (r < 0)
        return command_error(cmd, r);
    read_params(cmd, &params);
    read_only = examines || (m.rights & RIGHTS_READ_WRITE) == 0;
    r = open_view(l, &m, &read_only);
    l->examined = examines;
    l->annotates = params.annotate;
    if (r == 0)
        r = tell_selected(l);
    if (r < 0) {
        local_drop_view(l);
        return command_error(cmd, r);
    }
    client_selected(cmd->client, &l->leg, m.record.name, read_only);
    if (params.qresync && params.uidvalidity == view_uidvalidity(l->view))
        return local_resync(cmd, &params, read_only ? "READ-ONLY" : "READ-WRITE");
    return command_ok(cmd, read_only ? "READ-ONLY" : "READ-WRITE", "Completed");
}

/* ---- CLOSE, UNSELECT ---- */

enum step local_close_mailbox(struct command *cmd)
{
    static const struct expunge_what all = {NULL, false};
    struct local_leg *l = local_of(cmd);
    struct imap_args args;
    int r = 0;

    command_args(cmd, &args);
    if (imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (cmd->def->id == COMMAND_CLOSE && !view_is_read_only(l->view) && (l->rights & ACL_EXPUNGE) != 0)
        r = expunge_messages(l->view, &all, NULL);
    if (r < 0)
        return command_error(cmd, r);
    local_drop_view(l);
    client_unselected(cmd->client);
    return command_ok(cmd, NULL, "Completed");
}

/* ---- news ---- */

/* The mailbox by its id: it may have been renamed (the session goes on), deleted, moved away, or be closed to
 * this user now (the session ends).  False: it has ended. */
static bool check_access(struct local_leg *l)
{
    struct client *c = l->leg.client;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    const char *why = NULL;
    int r = mboxlist_lookup_id(c->list, l->id, pool, &record);

    if (r == ERR_NOTFOUND || (r == 0 && record.type != MBOXLIST_LOCAL))
        why = "Mailbox has been deleted";
    else if (r == 0 && !l->in_deleted && mboxname_is_deleted(name_config(), record.name))
        why = "Mailbox has been deleted";
    else if (r == 0) {
        l->rights = client_rights(c, record.name, record.acl);
        if ((l->rights & ACL_READ) == 0)
            why = "Access to the mailbox has been revoked";
        else if (strcmp(record.name, c->selected_name) != 0)
            client_selected(c, &l->leg, record.name, c->read_only);
    }
    pool_free(&pool);
    if (why != NULL)
        client_bye(c, NULL, why);
    return why == NULL;
}

/* Looks for news.  1: there are some; 0: none; an error ends the session. */
static int find_news(struct local_leg *l, bool expunges)
{
    uint32_t uidnext = view_uidnext(l->view);
    struct pool *pool = pool_new(0);
    struct local_news *news = pool_alloc(pool, sizeof(*news));
    int r;

    news->pool = pool;
    news->since = view_highest_modseq(l->view);
    r = view_refresh(l->view, expunges, pool, &news->found);
    if (r == 0 &&
        (news->found.expunged_count > 0 || news->found.exists_changed || news->found.flag_count > 0)) {
        l->news = news;
        if (l->fresh == 0 && notify_fetch(l->leg.client) != NULL && view_uidnext(l->view) > uidnext)
            l->fresh = uidnext;
        return 1;
    }
    pool_free(&pool);
    if (r == ERR_DESCRIPTORS) { /* the view is as it was, and the news are told when there are some again */
        LOG(LOG_ERR, IMAP_NEWS, LOG_STR(MAILBOX, l->leg.client->selected_name), LOG_ERROR(r));
        return 0;
    }
    if (r < 0)
        client_bye(l->leg.client, r == ERR_CORRUPT ? "CORRUPTION" : NULL,
                   r == ERR_NOTFOUND ? "Mailbox has been deleted" : "Mailbox state is lost: reconnect");
    return r;
}

static bool is_full(const struct local_leg *l)
{
    return stream_unsent(l->leg.client->stream) >= STREAM_OUT_HIGH;
}

static void tell_exists(struct local_leg *l)
{
    struct local_news *n = l->news;
    struct stream *out = l->leg.client->stream;

    if (!n->found.exists_changed)
        return;
    stream_printf(out, "* %u EXISTS\r\n", n->found.exists);
    if (!local_enabled(l, ENABLED_IMAP4REV2))
        stream_printf(out, "* %u RECENT\r\n", n->found.recent);
    n->found.exists_changed = false;
}

/* EXPUNGE, or VANISHED under QRESYNC and UIDONLY.  False: the output is full. */
static bool tell_expunged(struct local_leg *l)
{
    struct local_news *n = l->news;

    if (!n->vanished_known && (local_enabled(l, ENABLED_QRESYNC) || local_enabled(l, ENABLED_UIDONLY))) {
        for (uint32_t i = n->found.expunged_count; i > 0; i--)
            if (uid_set_add(&n->vanished, n->found.expunged_uids[i - 1], n->found.expunged_uids[i - 1]) < 0) {
                client_bye(l->leg.client, NULL, "Too many messages were expunged: reconnect");
                return true;
            }
        n->vanished_known = true;
        n->next_expunge = n->found.expunged_count;
    }
    if (!local_tell_vanished(l, &n->vanished, &n->next_vanished, false))
        return false;
    for (; n->next_expunge < n->found.expunged_count; n->next_expunge++) {
        if (is_full(l))
            return false;
        stream_printf(l->leg.client->stream, "* %u EXPUNGE\r\n", n->found.expunged[n->next_expunge]);
    }
    return true;
}

/* EXPUNGE, EXISTS, RECENT, FETCH, as far as the output takes them. */
static int tell_news(struct local_leg *l)
{
    struct local_news *n = l->news;
    struct mailbox *mailbox;
    int r;

    if (!tell_expunged(l))
        return ERR_AGAIN;
    tell_exists(l);
    if ((notify_selected(l->leg.client) & NOTIFY_FLAG_CHANGE) == 0)
        n->found.flag_count = 0; /* a client that has asked for NOTIFY without it */
    r = n->found.flag_count > 0 ? view_mailbox(l->view, &mailbox) : 0;
    if (r == 0 && n->found.flag_count > 0)
        r = local_tell_flags(l, mailbox, false);
    for (; r == 0 && n->next_flags < n->found.flag_count; n->next_flags++) {
        if (is_full(l))
            return ERR_AGAIN;
        local_tell_message(l, mailbox, &n->found.flags[n->next_flags],
                           LOCAL_TELL_UID | LOCAL_TELL_FLAGS |
                               (l->annotates ? (unsigned)LOCAL_TELL_ANNOTATIONS : 0));
    }
    forget_news(l);
    return 0;
}

/* A client takes the highest MODSEQ that it was told for what it knows all up to.  If that is not so, since an EXPUNGE
 * may not be told yet or a change is under way, it is told what is, and once more when it is right again (RFC 7162
 * sections 3.2 and 6). */
static void correct_highest(struct local_leg *l)
{
    uint64_t highest = view_highest_modseq(l->view);
    bool ahead = l->told_modseq > highest;

    if (!local_enabled(l, ENABLED_CONDSTORE))
        return;
    if (ahead || l->tell_modseq)
        tell_highest(l);
    l->tell_modseq = ahead;
    if (!ahead)
        l->told_modseq = 0;
}

/* Commands that have just looked at the mailbox, and change it through the same handle: when they end, its header need not be
 * read again.  COPY and APPEND have others. */
static bool has_looked(const struct command *cmd)
{
    switch (cmd != NULL ? cmd->def->id : COMMAND_NOOP) {
    case COMMAND_EXAMINE:
    case COMMAND_EXPUNGE:
    case COMMAND_FETCH:
    case COMMAND_SEARCH:
    case COMMAND_SELECT:
    case COMMAND_SORT:
    case COMMAND_STORE:
    case COMMAND_THREAD:
        return true;
    default:
        return false;
    }
}

/* NOTIFY may have asked for no news at all (RFC 5465 3.1); what a command of the client's own removes it is told. */
static bool wants_news(const struct client *c)
{
    const struct command *cmd = c->command;

    if (notify_selected(c) != 0)
        return true;
    return cmd != NULL && (cmd->def->id == COMMAND_EXPUNGE || cmd->def->id == COMMAND_MOVE ||
                           cmd->def->id == COMMAND_REPLACE);
}

int local_sync(struct leg *leg, bool expunges)
{
    struct local_leg *l = (struct local_leg *)leg;
    int r;

    if (l->view == NULL || (l->news == NULL && !wants_news(leg->client)))
        return 0;
    if (l->news == NULL && has_looked(leg->client->command))
        view_settle(l->view);
    if (l->news == NULL && (!check_access(l) || find_news(l, expunges) < 0))
        return 0;
    r = l->news != NULL ? tell_news(l) : 0;
    if (r == 0)
        correct_highest(l);
    return r;
}

int local_poll(struct leg *leg, struct command *cmd)
{
    (void)leg;
    (void)cmd;
    return 0; /* sync() looks anyway */
}

int64_t local_between(struct leg *leg)
{
    struct local_leg *l = (struct local_leg *)leg;

    return l->view != NULL ? view_park(l->view) : CLOCK_NEVER;
}

/* ---- IDLE ---- */

void local_watch_index(struct local_leg *l)
{
    struct buf path = BUF_INIT;
    struct mailbox *mailbox;

    if (l->view == NULL || view_mailbox(l->view, &mailbox) < 0)
        return;
    mailbox_index_path(mailbox, &path);
    l->watching = session_watch_file(l->leg.client->session, buf_cstr(&path)) == 0;
    buf_free(&path);
}

void local_unwatch_index(struct local_leg *l)
{
    session_watch_file(l->leg.client->session, NULL);
    l->watching = false;
}

int local_idle_start(struct leg *leg, struct command *cmd)
{
    struct local_leg *l = (struct local_leg *)leg;
    struct mailbox *mailbox;
    int r = view_mailbox(l->view, &mailbox);

    (void)cmd;
    if (r == 0)
        local_watch_index(l);
    return r;
}

/* A compaction puts another file in its place: the watch is made anew whenever it spoke. */
int local_idle_run(struct leg *leg, struct command *cmd)
{
    struct local_leg *l = (struct local_leg *)leg;
    int64_t seen;

    if (l->watching && session_file_changed(cmd->client->session))
        local_watch_index(l);
    local_sync(leg, true);
    cmd->wake_at = clock_deadline(opt_duration_ms(OPT_IMAPIDLEPOLL));
    seen = view_park(l->view);
    if (seen < cmd->wake_at)
        cmd->wake_at = seen;
    return ERR_AGAIN;
}

int local_idle_stop(struct leg *leg, struct command *cmd)
{
    struct local_leg *l = (struct local_leg *)leg;

    (void)cmd;
    local_unwatch_index(l);
    return 0;
}
