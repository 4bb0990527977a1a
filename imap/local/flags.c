/* flags.c: flags as the client writes and reads them, and the STORE command. */
#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/local-private.h"
#include "imap/session/capability.h"
#include "imap/store/flags.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

/* In the order that answers show them. */
static const struct {
    uint32_t bit;
    const char *name;
} system_flags[] = {{RECORD_ANSWERED, "\\Answered"},
                    {RECORD_FLAGGED, "\\Flagged"},
                    {RECORD_DELETED, "\\Deleted"},
                    {RECORD_SEEN, "\\Seen"},
                    {RECORD_DRAFT, "\\Draft"}};

static uint32_t system_bit(const char *flag)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        if (strcmp(flag, system_flags[i].name) == 0)
            return system_flags[i].bit;
    return 0;
}

void local_split_flags(struct pool *pool, const char *const *flags, uint32_t *system_r,
                       const char *const **keywords_r)
{
    size_t n = 0;
    const char **keywords;

    while (flags[n] != NULL)
        n++;
    keywords = pool_alloc(pool, (n + 1) * sizeof(*keywords));
    *keywords_r = keywords;
    *system_r = 0;
    for (; *flags != NULL; flags++) {
        uint32_t bit = system_bit(*flags);

        if (bit != 0)
            *system_r |= bit;
        else
            *keywords++ = *flags;
    }
}

static void put_word(struct buf *to, size_t begin, const char *word)
{
    if (to->len > begin)
        buf_putc(to, ' ');
    buf_puts(to, word);
}

void local_put_flags(struct mailbox *mailbox, const struct mailbox_record *record, bool recent,
                     struct buf *to)
{
    const char *names[USER_FLAGS_MAX];
    size_t begin = to->len;
    static const unsigned char none[USER_FLAGS_BYTES];

    if (recent)
        put_word(to, begin, "\\Recent");
    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        if ((record->system & system_flags[i].bit) != 0)
            put_word(to, begin, system_flags[i].name);
    if (memcmp(record->user, none, sizeof(none)) == 0 || mailbox_flag_names(mailbox, names) < 0)
        return;
    for (unsigned i = 0; i < USER_FLAGS_MAX; i++)
        if (record_has_user_flag(record, i) && names[i] != NULL)
            put_word(to, begin, names[i]);
}

/* ---- FLAGS, PERMANENTFLAGS ---- */

static void put_keywords(struct buf *to, const char *const *names)
{
    for (unsigned i = 0; i < USER_FLAGS_MAX; i++)
        if (names[i] != NULL)
            buf_printf(to, " %s", names[i]);
}

/* What can be changed for good, with the rights there are (RFC 3501 7.1, RFC 4314 5.1). */
static void put_permanent(const struct local_leg *l, const char *const *names, bool room, struct buf *to)
{
    uint32_t settable = view_is_read_only(l->view) ? 0 : local_settable(l->rights);
    size_t begin = to->len;

    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
        if ((settable & system_flags[i].bit) != 0)
            put_word(to, begin, system_flags[i].name);
    if ((settable & RECORD_FLAGGED) == 0)
        return;
    put_keywords(to, names);
    if (room)
        put_word(to, begin, "\\*");
}

/* Notes the slots in use; true if there is one that had not been told. */
static bool note_told(struct local_leg *l, const char *const *names, bool *room_r)
{
    bool fresh = false;

    *room_r = false;
    for (unsigned i = 0; i < USER_FLAGS_MAX; i++) {
        unsigned char bit = (unsigned char)(1u << (i % 8));

        if (names[i] == NULL) {
            *room_r = true;
            continue;
        }
        fresh = fresh || (l->flags_told[i / 8] & bit) == 0;
        l->flags_told[i / 8] |= bit;
    }
    return fresh;
}

int local_tell_flags(struct local_leg *l, struct mailbox *mailbox, bool always)
{
    const char *names[USER_FLAGS_MAX];
    struct buf text = BUF_INIT;
    bool room;
    int r = mailbox_flag_names(mailbox, names);

    if (r < 0 || (!note_told(l, names, &room) && !always))
        return r;
    buf_puts(&text, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft");
    put_keywords(&text, names);
    buf_puts(&text, ")\r\n* OK [PERMANENTFLAGS (");
    put_permanent(l, names, room, &text);
    buf_puts(&text, ")] Ok\r\n");
    stream_write(l->leg.client->stream, text.data, text.len);
    buf_free(&text);
    return 0;
}

/* ---- FETCH responses ---- */

void local_put_emailid(const struct mailbox_record *record, struct buf *to)
{
    buf_putc(to, 'M');
    for (unsigned i = 0; i < GUID_SIZE; i++)
        buf_printf(to, "%02x", record->guid[i]);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool local_read_emailid(const char *id, unsigned char guid_r[GUID_SIZE])
{
    if (id[0] != 'M' || strlen(id) != 1 + 2 * GUID_SIZE)
        return false;
    for (unsigned i = 0; i < GUID_SIZE; i++) {
        int high = digit_of(id[1 + 2 * i]), low = digit_of(id[2 + 2 * i]);

        if (high < 0 || low < 0)
            return false;
        guid_r[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

enum { THREADID_DIGITS = 16 };

void local_put_threadid(const struct mailbox_record *record, struct buf *to)
{
    if (record->thread_id == 0)
        buf_puts(to, "NIL");
    else
        buf_printf(to, "(T%0*llx)", THREADID_DIGITS, (unsigned long long)record->thread_id);
}

uint64_t local_read_threadid(const char *id)
{
    uint64_t thread = 0;

    if (id[0] != 'T' || strlen(id) != 1 + THREADID_DIGITS)
        return 0;
    for (unsigned i = 1; i <= THREADID_DIGITS; i++) {
        if (digit_of(id[i]) < 0)
            return 0;
        thread = thread << 4 | (uint64_t)digit_of(id[i]);
    }
    return thread;
}

void local_put_modseq(struct local_leg *l, uint64_t modseq, struct buf *to)
{
    buf_printf(to, "MODSEQ (%llu)", (unsigned long long)modseq);
    if (modseq > l->told_modseq)
        l->told_modseq = modseq;
}

void local_put_fetch(const struct local_leg *l, const struct view_message *m, bool uid, struct buf *to)
{
    if (local_enabled(l, ENABLED_UIDONLY)) {
        buf_printf(to, "* %u UIDFETCH (", m->record.uid);
        return;
    }
    buf_printf(to, "* %u FETCH (", m->seq);
    if (uid)
        buf_printf(to, "UID %u ", m->record.uid);
}

/* What of its annotations is news; nothing where they cannot be read. */
static void put_changed(struct local_leg *l, const struct view_message *m, struct buf *to)
{
    struct pool *pool = pool_new(0);
    struct annotate_items items;

    if (annotate_read_view(l->view, m, pool, &items) == 0)
        annotate_put_changed(&items, l->leg.client->identity->userid, l->news->since, to);
    pool_free(&pool);
}

void local_tell_message(struct local_leg *l, struct mailbox *mailbox, const struct view_message *m,
                        unsigned what)
{
    bool modseq = local_enabled(l, ENABLED_CONDSTORE);
    struct buf line = BUF_INIT;

    local_put_fetch(l, m, (what & LOCAL_TELL_UID) != 0 || modseq, &line);
    if ((what & LOCAL_TELL_FLAGS) != 0) {
        buf_puts(&line, "FLAGS (");
        local_put_flags(mailbox, &m->record, local_tells_recent(l, m), &line);
        buf_puts(&line, ") ");
    }
    if ((what & LOCAL_TELL_ANNOTATIONS) != 0)
        put_changed(l, m, &line);
    if (modseq)
        local_put_modseq(l, m->record.modseq, &line);
    else
        buf_truncate(&line, line.len - 1);
    buf_puts(&line, ")\r\n");
    stream_write(l->leg.client->stream, line.data, line.len);
    buf_free(&line);
}

/* ---- STORE ---- */

struct store_state {
    struct local_walk walk;
    struct flag_change change;
    bool annotates; /* RFC 5257 4.5: these, and no flags */
    struct annotate_list annotations;
    const char *set;         /* as the client wrote it */
    const char **part_names; /* that annotations are of, and NULL */
    struct local_walk parts; /* over the messages that must have them */
    struct uid_set modified; /* UIDs that UNCHANGEDSINCE kept from being changed */
    bool silent;
    bool expunged;
};

static void store_cleanup(struct command *cmd)
{
    struct store_state *s = cmd->state;

    uid_set_free(&s->modified);
}

/* "(UNCHANGEDSINCE n) " (RFC 7162 section 3.1.3), or nothing. */
static int parse_modifiers(struct imap_args *args, struct flag_change *change)
{
    if (capability_is_suppressed("CONDSTORE") || !imap_args_skip(args, '('))
        return 0;
    change->has_unchanged_since = imap_args_word(args, "UNCHANGEDSINCE");
    if (!change->has_unchanged_since) {
        args->error = "Invalid STORE modifier";
        return ERR_SYNTAX;
    }
    if (imap_args_space(args) < 0 || imap_args_modseq(args, true, &change->unchanged_since) < 0 ||
        imap_args_char(args, ')') < 0)
        return ERR_SYNTAX;
    return imap_args_space(args);
}

/* "+FLAGS.SILENT", "FLAGS" ... */
static int parse_item(struct imap_args *args, enum flag_operation *operation_r, bool *silent_r)
{
    *operation_r = FLAGS_REPLACE;
    if (imap_args_skip(args, '+'))
        *operation_r = FLAGS_ADD;
    else if (imap_args_skip(args, '-'))
        *operation_r = FLAGS_REMOVE;
    *silent_r = imap_args_word(args, "FLAGS.SILENT");
    if (*silent_r || imap_args_word(args, "FLAGS"))
        return 0;
    args->error = "Invalid STORE item";
    return ERR_SYNTAX;
}

/* "ANNOTATION (...)", which tells nothing of what it has changed: 1; 0: it is something else. */
static int parse_annotation(struct imap_args *args, struct store_state *s)
{
    struct annotate_reader reader;

    if (capability_is_suppressed(ANNOTATE_CAPABILITY) || !imap_args_word(args, "ANNOTATION"))
        return 0;
    s->annotates = s->silent = true;
    annotate_reader_init(&reader, &s->annotations);
    if (imap_args_space(args) < 0 || annotate_reader_next(&reader, args, false) < 0 ||
        imap_args_end(args) < 0)
        return ERR_SYNTAX;
    return 1;
}

static int parse_store(struct command *cmd, const char **set_r, struct store_state *s)
{
    struct flag_change *change = &s->change;
    bool *silent_r = &s->silent;
    struct imap_args args;
    int r;
    const char *const *flags;
    size_t count;

    command_args(cmd, &args);
    r = imap_args_seqset(&args, set_r) < 0 || imap_args_space(&args) < 0 || parse_modifiers(&args, change) < 0
            ? ERR_SYNTAX
            : parse_annotation(&args, s);
    if (r == 1)
        return 0;
    if (r < 0 || parse_item(&args, &change->operation, silent_r) < 0 || imap_args_space(&args) < 0 ||
        imap_args_flags(&args, true, &flags, &count) < 0 || imap_args_end(&args) < 0) {
        command_bad(cmd, "%s", imap_args_error(&args));
        return ERR_SYNTAX;
    }
    local_split_flags(cmd->pool, flags, &change->system, &change->keywords);
    return 0;
}

/* Is there anything among the flags that the rights allow to change?  (RFC 4314 section 4: else NO.) */
static bool may_change(const struct flag_change *change, rights_t rights)
{
    if (change->operation == FLAGS_REPLACE)
        return local_settable(rights) != 0;
    if (change->system == 0 && change->keywords[0] == NULL)
        return true;
    return (change->system & change->may_system) != 0 ||
           (change->keywords[0] != NULL && change->may_keywords);
}

/* "MODIFIED 7,9": message numbers, or UIDs with UID STORE; NULL: all were changed. */
static int modified_code(struct command *cmd, const struct uid_set *modified, const char **code_r)
{
    struct local_leg *l = local_of(cmd);
    struct buf code = BUF_INIT;
    struct uid_set seqs = UID_SET_INIT;
    int r = 0;

    *code_r = NULL;
    if (modified->count == 0)
        return 0;
    for (size_t i = 0; r == 0 && !cmd->uid && i < modified->count; i++) {
        uint32_t low, high;

        r = view_uids_to_seqs(l->view, modified->ranges[i].first, modified->ranges[i].last, &low, &high);
        if (r == 0 && low != 0)
            r = uid_set_add(&seqs, low, high);
    }
    buf_puts(&code, "MODIFIED ");
    uid_set_format(cmd->uid ? modified : &seqs, &code);
    *code_r = pool_strdup(cmd->pool, buf_cstr(&code));
    uid_set_free(&seqs);
    buf_free(&code);
    return r;
}

static enum step store_done(struct command *cmd)
{
    struct store_state *s = cmd->state;
    const char *code;
    int r = modified_code(cmd, &s->modified, &code);

    if (r < 0)
        return command_error(cmd, r);
    if (s->expunged && !cmd->uid)
        return command_no(cmd, code != NULL ? code : "EXPUNGEISSUED", "Some of the messages no longer exist");
    return command_ok(cmd, code, code != NULL ? "Conditional STORE failed" : "Completed");
}

/* .SILENT leaves the flags out where they are as the client has asked. */
static void tell_stored(struct command *cmd, struct mailbox *mailbox, const struct view_message *m)
{
    const struct store_state *s = cmd->state;
    unsigned what = cmd->uid ? LOCAL_TELL_UID : 0;

    if (!s->silent || uid_set_has(&s->modified, m->record.uid))
        what |= LOCAL_TELL_FLAGS;
    local_tell_message(local_of(cmd), mailbox, m, what);
}

static enum step tell_step(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct store_state *s = cmd->state;
    struct view_message messages[LOCAL_BATCH];
    struct mailbox *mailbox;
    uint32_t count;
    int r = local_walk_next(l, &s->walk, messages, &count);

    if (r == 0)
        r = view_mailbox(l->view, &mailbox);
    if (r < 0)
        return command_error(cmd, r);
    if (count == 0)
        return store_done(cmd);
    for (uint32_t i = 0; i < count; i++)
        tell_stored(cmd, mailbox, &messages[i]);
    return STEP_MORE;
}

/* ---- STORE ANNOTATION ---- */

/* Has the message the parts that are written about?  0, ERR_SYNTAX, or another error. */
static int check_parts(const struct store_state *s, struct mailbox *mailbox, const struct view_message *m)
{
    struct message *message;
    int r = 0;

    message_open(mailbox, m->number, &m->record, &message);
    for (size_t i = 0; r == 0 && s->part_names[i] != NULL; i++) {
        r = annotate_has_part(message, s->part_names[i]);
        if (r >= 0)
            r = r == 1 ? 0 : ERR_SYNTAX;
    }
    message_close(&message);
    return r;
}

static int change_annotations(struct command *cmd, struct store_state *s)
{
    struct local_leg *l = local_of(cmd);
    struct annotate_changes what = {.count = s->annotations.count,
                                    .has_unchanged_since = s->change.has_unchanged_since,
                                    .unchanged_since = s->change.unchanged_since};
    struct flag_result result = {0};
    struct annotate_change *changes;
    struct uid_set uids;
    int r =
        annotate_changes_of(&s->annotations, l->leg.client->identity->userid, l->rights, cmd->pool, &changes);

    what.changes = changes;
    if (r < 0)
        return r;
    r = local_uids(l, cmd->pool, s->set, cmd->uid, &uids);
    if (r == 0)
        r = annotate_store(l->view, &uids, &what, &result);
    if (r == 0) {
        view_absorb(l->view, result.before, result.after);
        s->expunged = result.expunged;
    }
    s->modified = result.modified;
    uid_set_free(&uids);
    return r;
}

static enum step annotations_failed(struct command *cmd, int r)
{
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "Annotations of a part that a message does not have");
    if (annotate_code(r) != NULL)
        return command_no(cmd, annotate_code(r), "An annotation is too big, or there are too many");
    return command_error(cmd, r);
}

/* The change itself, for all messages at once. */
static enum step annotate_step(struct command *cmd)
{
    int r = change_annotations(cmd, cmd->state);

    if (r < 0)
        return annotations_failed(cmd, r);
    if (!local_enabled(local_of(cmd), ENABLED_CONDSTORE))
        return store_done(cmd);
    cmd->step = tell_step;
    return tell_step(cmd);
}

/* Before anything is changed: some messages at a time, since their structure may have to be read from the files. */
static enum step parts_step(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct store_state *s = cmd->state;
    struct view_message messages[LOCAL_BATCH];
    struct mailbox *mailbox;
    uint32_t count;
    int r = local_walk_next(l, &s->parts, messages, &count);

    if (r == 0)
        r = view_mailbox(l->view, &mailbox);
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = check_parts(s, mailbox, &messages[i]);
    if (r < 0)
        return annotations_failed(cmd, r);
    cmd->step = count > 0 ? parts_step : annotate_step;
    return STEP_MORE;
}

static enum step store_annotations(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct store_state *s = cmd->state;
    struct annotate_change *changes;
    size_t n = 0;

    if (annotate_changes_of(&s->annotations, l->leg.client->identity->userid, l->rights, cmd->pool,
                            &changes) < 0)
        return command_error(cmd, ERR_DENIED);
    if (l->examined)
        return command_error(cmd, ERR_READONLY);
    s->part_names = pool_alloc(cmd->pool, (s->annotations.count + 1) * sizeof(*s->part_names));
    for (size_t i = 0; i < s->annotations.count; i++) {
        s->part_names[n] = annotate_part(s->annotations.values[i].entry, cmd->pool);
        n += s->part_names[n] != NULL;
    }
    s->part_names[n] = NULL;
    s->parts.seqs = s->walk.seqs;
    cmd->step = n > 0 ? parts_step : annotate_step;
    return cmd->step(cmd);
}

/* ---- STORE of flags ---- */

/* The change itself, for all messages at once. */
static int change_flags(struct command *cmd, struct store_state *s)
{
    struct local_leg *l = local_of(cmd);
    struct flag_result result = {0};
    struct local_flags *before = NULL;
    struct uid_set uids;
    int r = local_uid_spans(l, &s->walk.seqs, &uids);

    if (r == 0)
        before = local_flags_note(l, &s->walk.seqs);
    if (r == 0)
        r = flags_store(l->view, &uids, &s->change, &result);
    if (r == 0) {
        view_absorb(l->view, result.before, result.after);
        s->expunged = result.expunged;
    }
    local_flags_tell(l, &before);
    s->modified = result.modified;
    uid_set_free(&uids);
    /* the mod-sequence that is told must be the one that stays */
    if (r == 0 && local_enabled(l, ENABLED_CONDSTORE))
        r = view_write_seen(l->view);
    return r;
}

enum step local_store(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct store_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct mailbox *mailbox;
    const char *set;
    int r;

    if (parse_store(cmd, &set, s) < 0)
        return STEP_DONE;
    if (s->change.has_unchanged_since)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    s->change.may_system = local_settable(l->rights);
    s->change.may_keywords = (l->rights & ACL_WRITE) != 0;
    if (!s->annotates && view_is_read_only(l->view))
        return command_error(cmd, ERR_READONLY);
    if (!s->annotates && !may_change(&s->change, l->rights))
        return command_error(cmd, ERR_DENIED);
    s->set = set;
    cmd->state = s;
    cmd->cleanup = store_cleanup;
    r = local_seqs(l, cmd->pool, set, cmd->uid, &s->walk.seqs);
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "Invalid message sequence number");
    if (r == 0 && s->annotates)
        return store_annotations(cmd);
    if (r == 0)
        r = change_flags(cmd, s);
    if (r == 0)
        r = view_mailbox(l->view, &mailbox);
    if (r == 0)
        r = local_tell_flags(l, mailbox, false);
    if (r < 0)
        return command_error(cmd, r);
    if (s->silent && !local_enabled(l, ENABLED_CONDSTORE))
        return store_done(cmd);
    cmd->step = tell_step;
    return tell_step(cmd);
}
