/* metadata.c: GETMETADATA and SETMETADATA (RFC 5464). */
#include <stdlib.h>
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/mboxop/mboxop.h"
#include "imap/session/metadata-args.h"
#include "imap/store/metadata.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/journal.h"
#include "lib/mboxlist/special-use.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

enum { RESPONSE_MAX = 8 * 1024 /* bytes of a response, but for the last value */ };

/* ---- what entries are of ---- */

struct place {
    struct local_leg *leg;
    enum metadata_where where;
    struct local_mailbox m; /* of a mailbox */
    const char *id;         /* of annotations */
    struct metadata_place at;
};

static void set_place(struct command *cmd, struct local_leg *leg, struct place *place,
                      enum metadata_where where)
{
    *place = (struct place){.leg = leg, .where = where, .id = ""};
    place->at = (struct metadata_place){
        .store = leg->env->store, .list = cmd->client->list, .who = cmd->client->identity};
}

static int find_mailbox(struct command *cmd, struct local_leg *leg, const char *internal, struct place *place)
{
    int r;

    set_place(cmd, leg, place, OF_MAILBOX);
    r = local_lookup(cmd, internal, &place->m);
    if (r < 0)
        return r;
    place->id = place->m.record.id;
    return cmd->client->identity->is_admin || (place->m.rights & METADATA_RIGHTS_TO_SEE) != 0 ? 0
                                                                                              : ERR_DENIED;
}

static int find_place(struct command *cmd, const char *external, struct place *place)
{
    const char *internal;
    int r;

    set_place(cmd, local_of(cmd), place, OF_SERVER);
    if (*external == '\0')
        return 0;
    r = client_name_in(cmd->client, cmd->pool, external, &internal);
    return r == 0 ? find_mailbox(cmd, local_of(cmd), internal, place) : r;
}

/* Whose annotations: "" are everybody's. */
static const char *owner_of(const struct command *cmd, bool is_private)
{
    return is_private ? cmd->client->identity->userid : "";
}

/* For entry-value.c; the record stands in the place, which may have been copied. */
static struct metadata_place *at(struct place *place)
{
    place->at.record = place->where == OF_MAILBOX ? &place->m.record : NULL;
    return &place->at;
}

/* ---- GETMETADATA: what is asked for ---- */

struct wanted {
    const char *text; /* what it is called in the answer */
    const char *name;
    bool is_private;
    bool silent; /* not told when it has no value */
};

struct get {
    struct metadata_request request;
    struct place place;
    struct wanted *wanted;
    size_t count, room, at;
    struct buf line;
    bool told;
    uint64_t longest; /* of the values over MAXSIZE */
    struct command *cmd;
    struct pool *scratch;               /* for a value at a time */
    const struct metadata_entry *below; /* while what is below it is gathered */
};

static void want(struct get *g, const char *text, const char *name, bool is_private, bool silent)
{
    if (g->count == g->room) {
        g->room = g->room * 2 + METADATA_ENTRIES_MAX;
        g->wanted = xreallocarray(g->wanted, g->room, sizeof(*g->wanted));
    }
    g->wanted[g->count++] = (struct wanted){text, name, is_private, silent};
}

static void want_below(struct get *g, const char *name)
{
    const char *scope = g->below->is_private ? "/private" : "/shared";

    want(g, pool_printf(g->cmd->pool, "%s%s", scope, name), pool_strdup(g->cmd->pool, name),
         g->below->is_private, true);
}

static int want_kept(const struct annotation *annotation, void *context)
{
    struct get *g = context;

    if (metadata_is_below(annotation->entry, g->below->name, g->request.depth))
        want_below(g, annotation->entry);
    return 0;
}

/* Asked for already by an entry above? */
static bool is_covered(const struct get *g, size_t n)
{
    const struct metadata_entry *e = &g->request.entries[n], *other;

    for (size_t i = 0; i < n; i++) {
        other = &g->request.entries[i];
        if (other->is_private == e->is_private &&
            (strcmp(other->name, e->name) == 0 ||
             (g->request.depth == METADATA_DEPTH_INFINITY &&
              metadata_is_below(e->name, other->name, METADATA_DEPTH_INFINITY))))
            return true;
    }
    return false;
}

static int gather_entry(struct get *g, const struct metadata_entry *e)
{
    unsigned scope = e->is_private ? PRIVATE : SHARED;
    const struct metadata_def *def;

    want(g, e->text, e->name, e->is_private, g->request.depth != METADATA_DEPTH_0);
    if (g->request.depth == METADATA_DEPTH_0)
        return 0;
    g->below = e;
    for (size_t i = 0; (def = metadata_def(i)) != NULL; i++)
        if (def->kind > METADATA_KEPT && (def->where & g->place.where) != 0 && (def->scopes & scope) != 0 &&
            metadata_is_below(def->name, e->name, g->request.depth))
            want_below(g, def->name);
    return annotations_each(g->cmd->client->list, g->place.id, owner_of(g->cmd, e->is_private), e->name,
                            want_kept, g);
}

static int gather(struct get *g)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->request.count; i++)
        if (!is_covered(g, i))
            r = gather_entry(g, &g->request.entries[i]);
    return r;
}

/* ---- and what is told ---- */

static void end_response(struct get *g)
{
    if (g->line.len == 0)
        return;
    buf_puts(&g->line, ")\r\n");
    stream_write(g->cmd->client->stream, g->line.data, g->line.len);
    buf_reset(&g->line);
}

static void put_entry(struct get *g, const struct wanted *w, const struct annotation *a)
{
    if (g->line.len > RESPONSE_MAX)
        end_response(g);
    if (g->line.len == 0)
        buf_printf(&g->line, "* METADATA %s (",
                   g->place.where == OF_SERVER
                       ? "\"\""
                       : client_name_out(g->cmd->client, g->cmd->pool, g->place.m.record.name));
    else
        buf_putc(&g->line, ' ');
    imap_put_nstring(&g->line, w->text);
    buf_putc(&g->line, ' ');
    if (a->value == NULL)
        buf_puts(&g->line, "NIL");
    else
        imap_put_string8(&g->line, a->value, a->len);
    g->told = true;
}

static int tell_one(struct get *g, const struct wanted *w)
{
    struct annotation a;
    int r;

    pool_reset(g->scratch);
    r = metadata_value(at(&g->place), w->name, w->is_private, g->scratch, &a);

    if (r < 0 || (a.value == NULL && w->silent))
        return r;
    if (a.value != NULL && g->request.has_maxsize && a.len > g->request.maxsize) {
        g->longest = a.len > g->longest ? a.len : g->longest;
        return 0;
    }
    put_entry(g, w, &a);
    return 0;
}

static void get_begin(struct get *g, struct command *cmd)
{
    *g = (struct get){.cmd = cmd, .scratch = pool_new(0)};
}

static void get_free(struct get *g)
{
    mailbox_close(&g->place.at.mailbox);
    buf_free(&g->line);
    free(g->wanted);
    pool_free(&g->scratch);
}

static void get_cleanup(struct command *cmd)
{
    get_free(cmd->state);
}

/* Some response is due (RFC 5464 4.2), also when there is nothing below what was asked for. */
static enum step get_done(struct get *g)
{
    static const struct annotation nothing = {.value = NULL};
    const struct metadata_entry *first = &g->request.entries[0];

    if (!g->told && g->longest == 0)
        put_entry(g, &(struct wanted){first->text, first->name, first->is_private, false}, &nothing);
    end_response(g);
    if (g->longest == 0)
        return command_ok(g->cmd, NULL, "Completed");
    return command_ok(g->cmd,
                      pool_printf(g->cmd->pool, "METADATA LONGENTRIES %llu", (unsigned long long)g->longest),
                      "Completed");
}

static enum step get_step(struct command *cmd)
{
    struct get *g = cmd->state;
    int r = 0;

    while (r == 0 && g->at < g->count && stream_unsent(cmd->client->stream) < STREAM_OUT_HIGH)
        r = tell_one(g, &g->wanted[g->at++]);
    if (r < 0)
        return command_error(cmd, r);
    if (g->at == g->count)
        return get_done(g);
    end_response(g);
    mailbox_close(&g->place.at.mailbox); /* the session may park */
    return STEP_MORE;
}

enum step local_getmetadata(struct command *cmd)
{
    struct get *g = pool_alloc(cmd->pool, sizeof(*g));
    struct imap_args args;
    int r;

    get_begin(g, cmd);
    cmd->state = g;
    cmd->cleanup = get_cleanup;
    command_args(cmd, &args);
    if (metadata_parse_get(&args, &g->request) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = find_place(cmd, g->request.mailbox, &g->place);
    if (r == 0)
        r = gather(g);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = get_step;
    return get_step(cmd);
}

/* For LIST (RFC 9590), all at once: values are counted by the entries asked for, and LIST looks at what is unsent. */
int local_tell_metadata(struct leg *leg, struct command *cmd, const char *internal,
                        const struct metadata_request *entries)
{
    struct get g;
    int r;

    get_begin(&g, cmd);
    r = find_mailbox(cmd, (struct local_leg *)leg, internal, &g.place);
    g.request = *entries;
    if (r == 0)
        r = gather(&g);
    for (size_t i = 0; r == 0 && i < g.count; i++)
        r = tell_one(&g, &g.wanted[i]);
    if (r == 0)
        end_response(&g);
    get_free(&g);
    return r;
}

/* ---- SETMETADATA ---- */

/* What setting comes to: options of the mailbox, and what the mailbox list has, in this order. */
struct set {
    struct metadata_request request;
    struct place place;
    uint64_t options, mask;
    const char *holder, *uses; /* special uses; NULL: as they are */
};

static enum step refuse(struct command *cmd, const char *text)
{
    return command_no(cmd, "CANNOT", "%s", text);
}

/* 0; or the answer has been made. */
static int check_rights(struct command *cmd, const struct place *place, const struct metadata_entry *e,
                        rights_t needs)
{
    const struct identity *who = cmd->client->identity;

    if (e->is_private && who->is_anonymous) {
        command_no(cmd, "METADATA NOPRIVATE", "Nothing is private to the anonymous");
        return ERR_DENIED;
    }
    if (who->is_admin || e->is_private)
        return 0;
    needs |= ACL_WRITE;
    if (place->where == OF_MAILBOX && (place->m.rights & needs) == needs)
        return 0;
    command_error(cmd, ERR_DENIED);
    return ERR_DENIED;
}

/* What may be set though nobody has defined it. */
static bool is_free(const struct metadata_entry *e)
{
    return opt_switch(OPT_ANNOTATION_ALLOW_UNDEFINED) && !str_has_prefix(e->name, ANNOTATION_VENDOR);
}

static void set_option(struct set *s, const struct metadata_entry *e, uint64_t bit)
{
    s->mask |= bit;
    s->options &= ~bit;
    if (e->value != NULL && metadata_is_true(e->value, e->len))
        s->options |= bit;
}

/* 0; or the answer has been made. */
static int check_uses(struct command *cmd, struct set *s, const struct metadata_entry *e)
{
    const char *name = s->place.m.record.name;
    int r = ERR_DENIED;

    s->holder = specialuse_holder(cmd->client->identity, name, cmd->pool);
    if (s->holder != NULL)
        r = specialuse_check(cmd->client->list, name, s->holder, e->value != NULL ? e->value : "", e->len,
                             cmd->pool, &s->uses);
    if (r == ERR_INVALID)
        command_no(cmd, "USEATTR", "The mailbox cannot have that special use");
    else if (r == ERR_EXISTS)
        command_no(cmd, "USEATTR", "Another mailbox has that special use");
    else if (r < 0)
        command_error(cmd, r);
    return r;
}

/* 0; or the answer has been made. */
static int check_entry(struct command *cmd, struct set *s, const struct metadata_entry *e)
{
    const struct metadata_def *def = metadata_find(e->name, s->place.where, e->is_private ? PRIVATE : SHARED);
    enum metadata_kind kind = def != NULL ? def->kind : METADATA_TEXT;

    if (def == NULL && !is_free(e)) {
        refuse(cmd, "No such entry here");
        return ERR_UNSUPPORTED;
    }
    if (kind > METADATA_SET) {
        refuse(cmd, "The entry is read-only");
        return ERR_READONLY;
    }
    if (check_rights(cmd, &s->place, e, def != NULL ? def->needs : 0) < 0)
        return ERR_DENIED;
    if (e->len > ANNOTATION_VALUE_MAX) {
        command_no(cmd, pool_printf(cmd->pool, "METADATA MAXSIZE %d", ANNOTATION_VALUE_MAX),
                   "Value too large");
        return ERR_TOOBIG;
    }
    if (e->value != NULL && metadata_check(kind, e->value, e->len) < 0) {
        refuse(cmd, "Invalid value");
        return ERR_INVALID;
    }
    if (kind == METADATA_SPECIALUSE && check_uses(cmd, s, e) < 0)
        return ERR_INVALID;
    if (kind == METADATA_DUPDELIVER || kind == METADATA_SHAREDSEEN)
        set_option(s, e, kind == METADATA_DUPDELIVER ? MAILBOX_OPT_DUPDELIVER : MAILBOX_OPT_SHARED_SEEN);
    return 0;
}

static bool is_option(const struct set *s, const struct metadata_entry *e)
{
    const struct metadata_def *def = metadata_find(e->name, s->place.where, e->is_private ? PRIVATE : SHARED);

    return def != NULL && def->kind > METADATA_KEPT;
}

/* The mailbox may have been deleted or renamed meanwhile, or another of its owner's got the use: who writes is alone. */
static int keep_record(struct command *cmd, struct mboxlist_txn *txn, struct set *s)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup_id(txn, s->place.id, cmd->pool, &record);

    if (r < 0 || s->uses == NULL)
        return r;
    r = specialuse_check(cmd->client->list, record.name, s->holder, s->uses, strlen(s->uses), cmd->pool,
                         &s->uses);
    if (r < 0)
        return r == ERR_EXISTS ? ERR_SPECIAL_USE : r;
    s->place.m.record = record;
    record.special_use = special_use_replace(record.special_use, s->holder, s->uses, cmd->pool);
    record.mtime = 0;
    return mboxlist_txn_put(txn, &record);
}

static int keep(struct command *cmd, struct set *s)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(cmd->client->list, &txn);

    if (r < 0)
        return r;
    if (s->place.where == OF_MAILBOX)
        r = keep_record(cmd, txn, s);
    for (size_t i = 0; r == 0 && i < s->request.count; i++) {
        const struct metadata_entry *e = &s->request.entries[i];

        if (!is_option(s, e))
            r = annotation_txn_set(txn, s->place.id, owner_of(cmd, e->is_private), e->name, e->value, e->len);
        else
            r = journal_txn_annotation(txn, s->place.id, owner_of(cmd, e->is_private), e->name,
                                       e->value != NULL);
    }
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

/* All or nothing (RFC 5464 4.3): the options are put back when the annotations cannot be kept. */
static int set_all(struct command *cmd, struct set *s)
{
    uint64_t before = 0;
    int r = 0;

    if (s->mask != 0) {
        r = metadata_open(at(&s->place));
        if (r < 0)
            return r;
        before = mailbox_header(s->place.at.mailbox)->options;
        r = mailbox_set_options(s->place.at.mailbox, s->mask, s->options);
    }
    if (r == 0)
        r = keep(cmd, s);
    if (r < 0 && s->mask != 0) /* what was not set is as before */
        mailbox_set_options(s->place.at.mailbox, s->mask, before);
    return r;
}

/* Frontends list special uses from what the master tells them. */
static enum step publish_uses(struct command *cmd, const struct set *s)
{
    const struct mboxlist_record *record = &s->place.m.record;
    const struct mboxop_env *env = s->place.leg->env->mboxop;

    if (s->uses == NULL || env->link == NULL || (record->flags & MBOXLIST_MOVING) != 0)
        return command_ok(cmd, NULL, "Completed");
    return local_run_operation(cmd, mboxop_publish(env, record->name));
}

enum step local_setmetadata(struct command *cmd)
{
    struct imap_args args;
    struct set s = {.mask = 0};
    int r;

    command_args(cmd, &args);
    if (metadata_parse_set(&args, &s.request) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = find_place(cmd, s.request.mailbox, &s.place);
    if (r < 0)
        return command_error(cmd, r);
    for (size_t i = 0; i < s.request.count; i++)
        if (check_entry(cmd, &s, &s.request.entries[i]) < 0)
            return STEP_DONE;
    r = set_all(cmd, &s);
    mailbox_close(&s.place.at.mailbox);
    if (r == ERR_LIMIT)
        return command_no(cmd, "METADATA TOOMANY", "There are %d entries already", ANNOTATIONS_MAX);
    return r < 0 ? command_error(cmd, r) : publish_uses(cmd, &s);
}
