/* expunge.c: EXPUNGE, UID EXPUNGE (RFC 4315 2.1), and what copies across servers remove. */
#include "imap/store/expunge.h"

#include <string.h>

#include "imap/local/local-private.h"
#include "lib/base/error.h"

/* RFC 7162 3.2.7: of what was expunged; the news told before the answer reach as far. */
static const char *highest_code(struct command *cmd)
{
    struct mailbox *mailbox;

    if (view_mailbox(local_of(cmd)->view, &mailbox) < 0)
        return NULL;
    return pool_printf(cmd->pool, "HIGHESTMODSEQ %llu",
                       (unsigned long long)mailbox_header(mailbox)->highest_modseq);
}

enum step local_expunge(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct expunge_what what = {NULL, false};
    struct uid_set uids = {0}, gone;
    struct imap_args args;
    const char *set = NULL, *code = NULL;
    int r = 0;

    command_args(cmd, &args);
    if (cmd->uid)
        r = imap_args_seqset(&args, &set);
    if (r < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (view_is_read_only(l->view))
        return command_error(cmd, ERR_READONLY);
    if ((l->rights & ACL_EXPUNGE) == 0)
        return command_error(cmd, ERR_DENIED);
    if (cmd->uid) {
        r = local_uids(l, cmd->pool, set, true, &uids);
        what.uids = &uids;
    }
    if (r == 0)
        r = expunge_messages(l->view, &what, &gone);
    uid_set_free(&uids);
    if (r < 0)
        return command_error(cmd, r);
    if (gone.count > 0 && local_enabled(l, ENABLED_QRESYNC))
        code = highest_code(cmd);
    uid_set_free(&gone);
    return command_ok(cmd, code, "Completed");
}

/* A set of ours ("4:7,9"), never with `*`. */
static int parse_uids(struct command *cmd, const char *text, struct uid_set *uids_r)
{
    struct seqset set;
    int r;

    seqset_init(&set, cmd->pool);
    *uids_r = (struct uid_set){0};
    r = seqset_parse(&set, text, strlen(text), 0);
    for (size_t i = 0; r == 0 && i < set.count; i++)
        r = uid_set_add(uids_r, set.ranges[i].first, set.ranges[i].last);
    return r;
}

int local_expunge_uids(struct leg *leg, struct command *cmd, const char *uids)
{
    struct local_leg *l = (struct local_leg *)leg;
    struct expunge_what what;
    struct uid_set set;
    int r = parse_uids(cmd, uids, &set);

    what = (struct expunge_what){&set, true};
    if (r == 0)
        r = expunge_messages(l->view, &what, NULL);
    l->tell_modseq = l->tell_modseq || local_enabled(l, ENABLED_QRESYNC);
    uid_set_free(&set);
    return r;
}

int local_undo(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
               const char *uids)
{
    struct local_leg *l = (struct local_leg *)leg;
    struct local_mailbox m;
    struct mailbox *files;
    struct uid_set set;
    int r = local_lookup(cmd, mailbox, &m);

    /* who may only insert may still take back what he has just inserted */
    if (r == ERR_NOTFOUND && m.record.type == MBOXLIST_LOCAL)
        r = 0;
    if (r == 0)
        r = local_open(l, &m, &files);
    if (r < 0)
        return r;
    r = parse_uids(cmd, uids, &set);
    if (r == 0 && mailbox_header(files)->uidvalidity != uidvalidity)
        r = ERR_CONFLICT;
    if (r == 0)
        r = expunge_uids(files, &set, NULL);
    uid_set_free(&set);
    mailbox_close(&files);
    return r;
}
