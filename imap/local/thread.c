/* thread.c: THREAD (RFC 5256): ORDEREDSUBJECT, REFERENCES, REFS. */
#include "lib/mail/thread.h"

#include <stdlib.h>
#include <string.h>

#include "imap/local/search.h"
#include "imap/local/sort.h"
#include "imap/session/capability.h"
#include "imap/store/links.h"
#include "imap/store/order.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/text.h"
#include "lib/stream/stream.h"

enum { SEARCH_BATCH = 4096, ADD_BATCH = 16384 };

/* A message that was found, and what stands for its ids and its subject. */
struct found {
    uint32_t number, links, subject;
    int64_t sent, arrived;
};

struct thread_state {
    struct local_leg *l;
    enum thread_algorithm algorithm;
    struct search_program program;
    struct search *search;
    struct links_query *links;
    struct order_query *subjects;
    struct found *found;
    uint32_t count, room, added; /* found; of these in the threads */
    struct threads *threads;
    struct pool *pool; /* of one message */
    struct buf scratch, subject;
    bool begun; /* the answer is */
};

static void thread_cleanup(struct command *cmd)
{
    struct thread_state *s = cmd->state;

    search_end(&s->search);
    search_program_free(&s->program);
    links_end(&s->links);
    order_end(&s->subjects);
    free(s->found);
    threads_free(&s->threads);
    pool_free(&s->pool);
    buf_free(&s->scratch);
    buf_free(&s->subject);
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

static void read_headers(struct thread_state *s, const char *data, size_t len, struct links_news *news)
{
    struct mail_field field;

    if (mail_header_find(data, len, "Message-Id", &field))
        news->id = mail_message_id(s->pool, field.value, field.value_len);
    news->references = read_references(s, data, len);
    if (mail_header_find(data, len, "Subject", &field))
        sort_subject(&field, &s->scratch, &s->subject, &news->is_reply);
}

/* Reads a message that is not known well enough.  One whose file and cache entry are gone has no ids and no subject. */
static int read_message(struct thread_state *s, const struct search_hit *hit, struct found *found)
{
    const struct mailbox_record *record = &hit->seen->record;
    struct links_news news = {0};
    const char *data;
    size_t len;
    int r = message_item(hit->message, CACHE_HEADERS, &data, &len);

    if (r < 0 && r != ERR_EXPUNGED)
        return r;
    pool_reset(s->pool);
    buf_reset(&s->subject);
    news.keep = r == 0;
    if (r == 0)
        read_headers(s, data, len, &news);
    if (!order_knows(s->subjects, record, &found->subject))
        found->subject = order_add(s->subjects, record, buf_cstr(&s->subject), s->subject.len, news.keep);
    return links_knows(s->links, record, &found->links) ? 0
                                                        : links_add(s->links, record, &news, &found->links);
}

static bool needs(void *context, const struct view_message *seen)
{
    struct thread_state *s = context;
    uint32_t token;

    return !order_knows(s->subjects, &seen->record, &token) || !links_knows(s->links, &seen->record, &token);
}

static struct found *add_found(struct thread_state *s)
{
    if (s->count == s->room) {
        s->room = s->room * 2 + 256;
        s->found = xreallocarray(s->found, s->room, sizeof(*s->found));
    }
    return &s->found[s->count++];
}

static int take_hit(void *context, const struct search_hit *hit)
{
    struct command *cmd = context;
    struct thread_state *s = cmd->state;
    const struct mailbox_record *record = &hit->seen->record;
    struct found *found;

    if (s->count == THREAD_NODES_MAX || order_bytes(s->subjects) > SORT_MEMORY_MAX)
        return ERR_LIMIT;
    found = add_found(s);
    *found = (struct found){.number = cmd->uid ? hit->uid : hit->seq,
                            .sent = record->sent_date,
                            .arrived = record->internal_date};
    if (order_knows(s->subjects, record, &found->subject) && links_knows(s->links, record, &found->links))
        return 0;
    return read_message(s, hit, found);
}

static enum step failed(struct command *cmd, int error)
{
    return error == ERR_LIMIT ? command_no(cmd, "LIMIT", "Too many messages to be threaded")
                              : command_error(cmd, error);
}

static int add_one(struct thread_state *s, const struct found *found)
{
    struct links links;

    links_get(s->links, found->links, &links);
    return threads_add(s->threads,
                       &(struct thread_message){.number = found->number,
                                                .sent = found->sent,
                                                .arrived = found->arrived,
                                                .id = links.id,
                                                .references = links.references,
                                                .reference_count = links.reference_count,
                                                .subject = order_value(s->subjects, found->subject),
                                                .is_reply = links.is_reply});
}

static enum step add_some(struct command *cmd)
{
    struct thread_state *s = cmd->state;
    int r = 0;

    if (order_step(s->subjects) > 0)
        return STEP_MORE;
    if (s->threads == NULL) {
        links_keep(s->links);
        s->threads = threads_new(s->algorithm, links_ids(s->links));
    }
    for (int i = 0; r == 0 && i < ADD_BATCH && s->added < s->count; i++)
        r = add_one(s, &s->found[s->added++]);
    if (r < 0)
        return failed(cmd, r);
    if (s->added == s->count)
        cmd->step = thread_some;
    return STEP_MORE;
}

static enum step search_some(struct command *cmd)
{
    struct thread_state *s = cmd->state;
    int r = search_step(s->search, SEARCH_BATCH, take_hit, cmd);

    if (r < 0)
        return failed(cmd, r);
    if (r == 0)
        cmd->step = add_some;
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
    s->links = links_begin(s->l->view);
    s->subjects = order_begin(s->l->view, SORT_SUBJECT_NAME);
    s->pool = pool_new(0);
    search_read_if(s->search, needs, s);
    cmd->step = search_some;
    return search_some(cmd);
}
