/* thread.c: THREAD (RFC 5256): ORDEREDSUBJECT, REFERENCES, REFS. */
#include "lib/mail/thread.h"

#include <string.h>

#include "imap/local/search.h"
#include "imap/local/sort.h"
#include "imap/session/capability.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/text.h"
#include "lib/stream/stream.h"

enum { SEARCH_BATCH = 4096 };

struct thread_state {
    struct local_leg *l;
    enum thread_algorithm algorithm;
    struct search_program program;
    struct search *search;
    struct threads *threads;
    struct pool *pool; /* of one message */
    struct buf subject, folded;
    bool begun; /* the answer is */
};

static void thread_cleanup(struct command *cmd)
{
    struct thread_state *s = cmd->state;

    search_end(&s->search);
    search_program_free(&s->program);
    threads_free(&s->threads);
    pool_free(&s->pool);
    buf_free(&s->subject);
    buf_free(&s->folded);
}

/* ---- the answer ---- */

static enum step write_step(struct command *cmd)
{
    struct thread_state *s = cmd->state;
    struct buf text = BUF_INIT;
    bool more = threads_write(s->threads, &text);

    if (!s->begun)
        stream_puts(cmd->client->stream, text.len > 0 ? "* THREAD " : "* THREAD");
    s->begun = true;
    if (!more)
        buf_puts(&text, "\r\n");
    stream_write(cmd->client->stream, text.data, text.len);
    buf_free(&text);
    return more ? STEP_MORE : command_ok(cmd, NULL, "Completed");
}

static enum step thread_some(struct command *cmd)
{
    struct thread_state *s = cmd->state;

    if (threads_step(s->threads) > 0)
        return STEP_MORE;
    cmd->step = write_step;
    return write_step(cmd);
}

/* ---- messages ---- */

/* The first usable ids: of References, else the first of In-Reply-To. */
static const char *const *read_references(struct thread_state *s, const char *data, size_t len)
{
    struct mail_field field;
    char **ids = NULL;
    char *first;

    if (mail_header_find(data, len, "References", &field))
        ids = mail_message_ids(s->pool, field.value, field.value_len);
    if (ids != NULL && ids[0] != NULL)
        return (const char *const *)ids;
    if (!mail_header_find(data, len, "In-Reply-To", &field))
        return NULL;
    first = mail_message_id(s->pool, field.value, field.value_len);
    ids = pool_alloc(s->pool, 2 * sizeof(*ids));
    ids[0] = first;
    return (const char *const *)ids;
}

static void read_headers(struct thread_state *s, const char *data, size_t len, struct thread_message *m)
{
    struct mail_field field;

    if (mail_header_find(data, len, "Message-Id", &field))
        m->id = mail_message_id(s->pool, field.value, field.value_len);
    m->references = read_references(s, data, len);
    if (mail_header_find(data, len, "Subject", &field))
        mail_base_subject(field.value, field.value_len, &s->subject, &m->is_reply);
}

static int take_hit(void *context, const struct search_hit *hit)
{
    struct command *cmd = context;
    struct thread_state *s = cmd->state;
    struct thread_message m = {.number = cmd->uid ? hit->uid : hit->seq,
                               .sent = hit->seen->record.sent_date,
                               .arrived = hit->seen->record.internal_date};
    const char *data;
    size_t len;
    int r = message_item(hit->message, CACHE_HEADERS, &data, &len);

    pool_reset(s->pool);
    buf_reset(&s->subject);
    buf_reset(&s->folded);
    if (r == 0)
        read_headers(s, data, len, &m);
    else if (r != ERR_EXPUNGED)
        return r;
    sort_fold(buf_cstr(&s->subject), s->subject.len, &s->folded);
    m.subject = buf_cstr(&s->folded);
    m.subject_len = s->folded.len < SORT_TEXT_MAX ? s->folded.len : SORT_TEXT_MAX;
    return threads_add(s->threads, &m);
}

static enum step search_some(struct command *cmd)
{
    struct thread_state *s = cmd->state;
    int r = search_step(s->search, SEARCH_BATCH, take_hit, cmd);

    if (r == ERR_LIMIT)
        return command_no(cmd, "LIMIT", "Too many messages to be threaded");
    if (r < 0)
        return command_error(cmd, r);
    if (r == 0)
        cmd->step = thread_some;
    return STEP_MORE;
}

/* ---- beginning ---- */

static const struct {
    const char *name, *capability;
    enum thread_algorithm algorithm;
} algorithms[] = {
    {"ORDEREDSUBJECT", "THREAD=ORDEREDSUBJECT", THREAD_ORDEREDSUBJECT},
    {"REFERENCES", "THREAD=REFERENCES", THREAD_REFERENCES},
    {"REFS", "THREAD=REFS", THREAD_REFS},
};

static int parse_algorithm(struct imap_args *args, enum thread_algorithm *algorithm_r)
{
    const char *name;

    if (imap_args_atom(args, &name) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        if (str_ieq(name, algorithms[i].name) && !capability_is_suppressed(algorithms[i].capability)) {
            *algorithm_r = algorithms[i].algorithm;
            return imap_args_space(args);
        }
    }
    args->error = "Unknown threading algorithm";
    return ERR_SYNTAX;
}

enum step local_thread(struct command *cmd)
{
    struct thread_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct imap_args args;
    int r;

    s->l = local_of(cmd);
    cmd->state = s;
    cmd->cleanup = thread_cleanup;
    command_args(cmd, &args);
    search_program_init(&s->program, cmd, &args);
    r = parse_algorithm(&args, &s->algorithm);
    if (r == 0)
        r = search_parse_bare_charset(&s->program);
    if (r == 0)
        r = search_parse_keys(&s->program);
    if (r == ERR_SYNTAX)
        return search_bad(cmd, &s->program);
    if (r == ERR_UNSUPPORTED)
        return search_bad_charset(cmd);
    if (r == 0)
        r = search_begin(s->l->view, s->program.root, SEARCH_MESSAGES, &s->search);
    if (r < 0)
        return command_error(cmd, r);
    s->threads = threads_new(s->algorithm);
    s->pool = pool_new(0);
    cmd->step = search_some;
    return search_some(cmd);
}
