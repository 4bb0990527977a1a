/* source.c: messages of a backend's selected mailbox, for a copy to another server.
 *
 * First the UIDs of the set; then, for a batch of them, what they are, and their bytes in one answer: two
 * round trips a batch, and memory for one batch. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/annotate-args.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

#define DATE_CHARS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz :+-"

enum {
    BATCH = 64,
    BATCH_ANNOTATED = 16,            /* messages whose annotations may be many */
    ANNOTATED_MAX = 4 * 1024 * 1024, /* bytes of what is told of one message */
    DATE_MAX = 32
};

struct leg_source {
    struct proxy_leg *p;
    struct command *cmd;
    struct pool *batch_pool;
    enum { UIDS, INFO, BODIES, DRAIN } phase;
    const char *text; /* of the command under way */
    struct seqset uids;
    struct seqset_iter next;
    struct leg_message batch[BATCH];
    unsigned wanted, count, at; /* messages asked for, told of; the one that is read */
    const char *set;            /* their UIDs */
    bool told;                  /* ... of which proxy_source_next() has told */
    bool in_body;               /* the response that passes holds its bytes, */
    uint64_t left;              /* so many still to come */
    bool passing;               /* ... or is for the client */
};

/* "(\Seen $lab)" without \Recent, in the form of struct leg_message. */
static int read_flags(struct imap_args *args, struct pool *pool, const char **flags_r)
{
    struct buf all = BUF_INIT;
    const char *flag;
    int r = imap_args_char(args, '(');

    while (r == 0 && !imap_args_skip(args, ')')) {
        imap_args_skip(args, ' ');
        r = imap_args_flag(args, true, &flag);
        if (r == 0 && !str_ieq(flag, "\\Recent"))
            buf_printf(&all, "%s%s", all.len > 0 ? " " : "", flag);
    }
    *flags_r = pool_strdup(pool, buf_cstr(&all));
    buf_free(&all);
    return r;
}

/* RFC 3501 date-time, which goes into a command for another server as it is. */
static int read_date(struct imap_args *args, const char **date_r)
{
    int r = imap_args_string(args, date_r);

    if (r == 0 && (strlen(*date_r) > DATE_MAX || (*date_r)[strspn(*date_r, DATE_CHARS)] != '\0'))
        r = ERR_SYNTAX;
    return r;
}

/* A name and a value of an entry. */
static int read_attribute(struct imap_args *args, const char *entry, struct annotate_list *list)
{
    struct annotate_value v = {.entry = entry};
    const char *name;

    if (imap_args_astring(args, &name) < 0 || imap_args_space(args) < 0 ||
        imap_args_nstring8(args, &v.value, &v.len) < 0)
        return ERR_SYNTAX;
    v.is_private = strcmp(name, "value.priv") == 0;
    if (v.value != NULL && list->count < ANNOTATE_ARGS_MAX && annotate_is_settable(entry) &&
        (v.is_private || strcmp(name, "value.shared") == 0))
        list->values[list->count++] = v;
    return 0;
}

/* "(entry (attribute value ...) ...)" */
static int read_annotations(struct imap_args *args, struct pool *pool, const struct annotate_list **list_r)
{
    struct annotate_list *list = pool_alloc(pool, sizeof(*list));
    const char *entry;
    int r = imap_args_char(args, '(');

    list->values = pool_alloc(pool, ANNOTATE_ARGS_MAX * sizeof(*list->values));
    while (r == 0 && !imap_args_skip(args, ')')) {
        imap_args_skip(args, ' ');
        if (imap_args_astring(args, &entry) < 0 || imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
            return ERR_SYNTAX;
        while (r == 0 && !imap_args_skip(args, ')')) {
            imap_args_skip(args, ' ');
            r = read_attribute(args, entry, list);
        }
    }
    *list_r = list;
    return r;
}

static int read_item(struct imap_args *args, struct pool *pool, const char *item, struct leg_message *m)
{
    if (str_ieq(item, "UID"))
        return imap_args_nz_number(args, &m->uid);
    if (str_ieq(item, "INTERNALDATE"))
        return read_date(args, &m->internal_date);
    if (str_ieq(item, "RFC822.SIZE"))
        return imap_args_number64(args, &m->size);
    if (str_ieq(item, "FLAGS"))
        return read_flags(args, pool, &m->flags);
    if (str_ieq(item, "ANNOTATION") && pool != NULL)
        return read_annotations(args, pool, &m->annotations);
    return imap_args_skip_value(args);
}

/* FETCH, or what it is under UIDONLY (RFC 9586). */
static bool is_fetch(const struct imap_response *response)
{
    return imap_slice_is(response->word, "FETCH") || imap_slice_is(response->word, "UIDFETCH");
}

/* "(item value ...)" of a FETCH response; what is not there stays 0 (size: UINT64_MAX). */
static int read_fetch(struct pool *pool, const struct imap_response *response, struct leg_message *m)
{
    struct imap_args args;
    const char *item;

    *m = (struct leg_message){.size = UINT64_MAX};
    imap_args_init(&args, pool, response->args.s, response->args.n);
    if (imap_args_char(&args, '(') < 0)
        return ERR_SYNTAX;
    while (!imap_args_skip(&args, ')')) {
        imap_args_skip(&args, ' ');
        if (imap_args_item(&args, &item) < 0 || imap_args_space(&args) < 0 ||
            read_item(&args, pool, item, m) < 0)
            return ERR_SYNTAX;
    }
    return 0;
}

/* Sends s->text unless it is under way; then reads whole responses: `take` says whether one was asked
 * for.  0: the answer is OK. */
static int ask(struct leg_source *s, bool (*take)(struct leg_source *s, const struct leg_message *m))
{
    struct proxy_leg *p = s->p;
    struct imap_response response;
    enum reply reply;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (p->open == 0) {
        proxy_begin(p);
        stream_printf(p->stream, "%s\r\n", s->text);
    }
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, s->cmd, r);
    while ((reply = proxy_collect_long(p, ANNOTATED_MAX, &response)) == REPLY_UNTAGGED) {
        struct leg_message m;

        if (!is_fetch(&response) || read_fetch(s->batch_pool, &response, &m) < 0 || !take(s, &m))
            proxy_pass_line(p);
        if (s->phase == UIDS)
            pool_reset(s->batch_pool); /* of any number of responses nothing is kept but the UIDs */
    }
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, s->cmd, reply);
    return proxy_judge(s->p, s->cmd, response.rest.s, response.rest.n, NULL);
}

static bool take_uid(struct leg_source *s, const struct leg_message *m)
{
    if (m->uid == 0)
        return false;
    seqset_add(&s->uids, m->uid);
    return true;
}

static bool take_info(struct leg_source *s, const struct leg_message *m)
{
    if (m->uid == 0 || m->flags == NULL || m->internal_date == NULL || m->size == UINT64_MAX ||
        s->count == BATCH)
        return false;
    s->batch[s->count++] = *m;
    return true;
}

int proxy_source_open(struct leg *leg, struct command *cmd, const char *set, bool uid,
                      struct leg_source **source_r)
{
    struct leg_source *s = *source_r;
    int r;

    if (s == NULL) {
        s = *source_r = pool_alloc(cmd->pool, sizeof(*s));
        s->p = (struct proxy_leg *)leg;
        s->cmd = cmd;
        s->batch_pool = pool_new(0);
        s->text = pool_printf(cmd->pool, "%sFETCH %s (UID)", uid ? "UID " : "", set);
        seqset_init(&s->uids, cmd->pool);
    }
    r = ask(s, take_uid);
    if (r < 0)
        return r;
    seqset_iter_init(&s->next, &s->uids);
    s->phase = DRAIN;
    return 0;
}

/* The next batch's UIDs as a set; false: no more. */
static bool next_batch(struct leg_source *s)
{
    struct buf text = BUF_INIT;
    bool annotated = s->p->backend != NULL && backend_has(s->p->backend, ANNOTATE_CAPABILITY);
    unsigned most = annotated ? BATCH_ANNOTATED : BATCH;
    struct seqset set;
    uint32_t uid;

    pool_reset(s->batch_pool);
    seqset_init(&set, s->batch_pool);
    for (s->wanted = 0; s->wanted < most && seqset_iter_next(&s->next, &uid); s->wanted++)
        seqset_add(&set, uid);
    seqset_print(&set, &text);
    s->set = pool_strdup(s->batch_pool, buf_cstr(&text));
    buf_free(&text);
    s->text = pool_printf(s->batch_pool, "UID FETCH %s (UID FLAGS INTERNALDATE RFC822.SIZE%s)", s->set,
                          annotated ? " ANNOTATION (* (value.priv value.shared))" : "");
    s->count = s->at = 0;
    return s->wanted > 0;
}

/* Begins the answer that holds the bytes of the whole batch. */
static void ask_bodies(struct leg_source *s)
{
    proxy_begin(s->p);
    stream_printf(s->p->stream, "UID FETCH %s (UID BODY.PEEK[])\r\n", s->set);
    s->phase = BODIES;
}

/* "* n FETCH (UID u BODY[] {size}": is it the message that we wait for? */
static int check_body(struct leg_source *s, const struct imap_piece *piece,
                      const struct imap_response *response)
{
    const struct leg_message *m = &s->batch[s->at];
    struct imap_literal literal;
    struct imap_args args;
    size_t line = piece->len;
    uint32_t uid = m->uid;

    imap_args_init(&args, s->batch_pool, response->args.s, response->args.n);
    if (imap_args_char(&args, '(') == 0 && imap_args_word(&args, "UID") && imap_args_space(&args) == 0 &&
        imap_args_nz_number(&args, &uid) == 0 && uid != m->uid)
        return ERR_EXPUNGED;
    while (line > 0 && (piece->data[line - 1] == '\n' || piece->data[line - 1] == '\r'))
        line--;
    if (imap_literal_at_end(piece->data, line, &literal) != 1 || literal.size != m->size)
        return ERR_PROTOCOL;
    s->in_body = true;
    s->left = m->size;
    return 0;
}

/* A response begins.  0: it passes; or an error. */
static int begin_response(struct leg_source *s, const struct imap_piece *piece)
{
    static const char body[] = "BODY[]";
    struct imap_response response;

    s->in_body = s->passing = false;
    switch (proxy_classify(s->p, piece->data, piece->len, &response)) {
    case REPLY_IGNORED:
        return 0;
    case REPLY_UNTAGGED:
        break;
    case REPLY_TAGGED:
        s->phase = DRAIN;
        if (s->at == s->count)
            return proxy_judge(s->p, s->cmd, response.rest.s, response.rest.n, NULL);
        return ERR_EXPUNGED; /* fewer than we were told of */
    default:
        return proxy_fail(s->p, s->cmd, ERR_UNAVAILABLE);
    }
    if (s->at < s->count && is_fetch(&response) &&
        (!piece->last || memmem(piece->data, piece->len, body, sizeof(body) - 1) != NULL))
        return check_body(s, piece, &response);
    s->passing = true; /* the mailbox's news */
    return 0;
}

/* The next piece of the answer with the bodies: 1, 0 at its end, or an error. */
static int next_piece(struct leg_source *s, struct imap_piece *piece)
{
    struct proxy_leg *p = s->p;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (stream_unsent(p->leg.client->stream) >= STREAM_OUT_HIGH)
        return proxy_waiting(p, s->cmd, REPLY_BLOCKED);
    while ((r = imap_reader_next(&p->reader, piece)) == 0) {
        r = stream_flush(p->stream);
        if (r == 0 || r == ERR_AGAIN)
            r = proxy_fill(p);
        if (r < 0)
            return proxy_waiting(p, s->cmd, r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST);
    }
    if (r < 0)
        return proxy_fail(p, s->cmd, r);
    if (piece->first && (r = begin_response(s, piece)) < 0)
        return r;
    if (s->passing)
        proxy_pass_piece(p, piece);
    return s->phase == BODIES;
}

int proxy_source_read(struct leg_source *s, const char **data_r, size_t *len_r)
{
    struct imap_piece piece;
    int r;

    while (!s->in_body || s->left > 0) {
        r = next_piece(s, &piece);
        if (r != 1)
            return r == 0 ? ERR_EXPUNGED : r;
        if (!s->in_body || !piece.literal)
            continue;
        s->left -= piece.len < s->left ? piece.len : s->left;
        *data_r = piece.data;
        *len_r = piece.len;
        return 0;
    }
    return ERR_EOF;
}

/* Reads what is left of a message that was told of; then the next one is under way. */
static int pass_message(struct leg_source *s)
{
    const char *data;
    size_t len;
    int r = 0;

    while (s->told && r == 0)
        r = proxy_source_read(s, &data, &len);
    if (r < 0 && r != ERR_EOF)
        return r;
    if (s->told)
        s->at++;
    s->told = s->in_body = false;
    return 0;
}

/* Behind the last message of a batch: reads up to the tagged answer, then learns of the next batch. */
static int turn_batch(struct leg_source *s)
{
    struct imap_piece piece;
    int r;

    while (s->phase == BODIES) {
        r = next_piece(s, &piece);
        if (r < 0)
            return r;
    }
    if (s->phase == DRAIN) {
        if (!next_batch(s))
            return ERR_EOF;
        s->phase = INFO;
    }
    r = ask(s, take_info);
    if (r < 0)
        return r;
    if (s->count < s->wanted)
        return ERR_EXPUNGED;
    ask_bodies(s);
    return 0;
}

int proxy_source_uids(struct leg_source *s, struct seqset *uids)
{
    seqset_add_set(uids, &s->uids);
    return 0;
}

int proxy_source_next(struct leg_source *s, struct leg_message *message_r)
{
    int r = pass_message(s);

    if (r == 0 && (s->phase != BODIES || s->at == s->count))
        r = turn_batch(s);
    if (r < 0)
        return r;
    s->told = true;
    *message_r = s->batch[s->at];
    return 0;
}

void proxy_source_close(struct leg_source **source)
{
    if (*source != NULL) {
        proxy_abandon((*source)->p);
        pool_free(&(*source)->batch_pool);
    }
    *source = NULL;
}
