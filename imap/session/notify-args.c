#include "imap/session/notify-args.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* ---- fetch-att *(SP fetch-att), in brackets ---- */

static bool is_printable(const char *s)
{
    while (*s >= ' ' && *s <= '~')
        s++;
    return *s == '\0';
}

/* A string within it, quoted: it is to be read again, by other servers too, and may not become a literal. */
static int copy_string(struct imap_args *args, struct buf *to)
{
    const char *s;

    if (imap_args_string(args, &s) < 0)
        return ERR_SYNTAX;
    if (!is_printable(s) || to->len + strlen(s) > NOTIFY_FETCH_MAX)
        return fail(args, "Invalid string in a list of items");
    imap_put_string(to, s, strlen(s));
    return 0;
}

/* Copies up to the bracket that closes the first one.  What the items are, FETCH's own parser looks at. */
static int read_fetch(struct imap_args *args, const char **fetch_r)
{
    char closing[NOTIFY_FETCH_DEPTH];
    unsigned depth = 0;
    struct buf text = BUF_INIT;
    int r = 0;

    do {
        char c = imap_args_peek(args);

        if (c == '"' || c == '{') {
            r = copy_string(args, &text);
            continue;
        }
        if (c < ' ' || c > '~' || text.len >= NOTIFY_FETCH_MAX) {
            r = fail(args, "Invalid list of items");
        } else if (c == '(' || c == '[') {
            if (depth == NOTIFY_FETCH_DEPTH)
                r = fail(args, "Too many brackets");
            else
                closing[depth++] = c == '(' ? ')' : ']';
        } else if ((c == ')' || c == ']') && closing[--depth] != c) {
            r = fail(args, "Brackets do not match");
        }
        if (r == 0)
            buf_putc(&text, c);
        if (r == 0)
            r = imap_args_char(args, c);
    } while (r == 0 && depth > 0);
    if (r == 0)
        *fetch_r = pool_strdup(args->pool, buf_cstr(&text));
    buf_free(&text);
    return r;
}

/* ---- events ---- */

static const struct {
    const char *name;
    unsigned event;
} events[] = {
    {"MessageNew", NOTIFY_MESSAGE_NEW},
    {"MessageExpunge", NOTIFY_MESSAGE_EXPUNGE},
    {"FlagChange", NOTIFY_FLAG_CHANGE},
    {"MailboxName", NOTIFY_MAILBOX_NAME},
    {"SubscriptionChange", NOTIFY_SUBSCRIPTION},
    {"MailboxMetadataChange", NOTIFY_MAILBOX_METADATA},
    {"ServerMetadataChange", NOTIFY_SERVER_METADATA},
};

static unsigned event_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        if (str_ieq(name, events[i].name))
            return events[i].event;
    return NOTIFY_UNSUPPORTED;
}

bool notify_group_is_selected(const struct notify_group *group)
{
    return group->where.kind == SOURCE_SELECTED || group->where.kind == SOURCE_SELECTED_DELAYED;
}

/* *annotations: AnnotationChange is among them, which demands the same as FlagChange. */
static int read_event(struct imap_args *args, struct notify_request *request, struct notify_group *group,
                      bool *annotations)
{
    const char *name;
    unsigned event;

    if (imap_args_atom(args, &name) < 0)
        return ERR_SYNTAX;
    event = event_of(name);
    group->events |= event;
    *annotations = *annotations || str_ieq(name, "AnnotationChange");
    if (event != NOTIFY_MESSAGE_NEW || args->end - args->at < 2 || memcmp(args->at, " (", 2) != 0)
        return 0;
    if (!notify_group_is_selected(group))
        return fail(args, "Items to fetch are for the selected mailbox only");
    imap_args_skip(args, ' ');
    return read_fetch(args, &request->fetch);
}

/* Section 5: which events go with which. */
static int check_events(struct imap_args *args, const struct notify_group *group, bool annotations)
{
    bool new = (group->events & NOTIFY_MESSAGE_NEW) != 0;
    bool expunge = (group->events & NOTIFY_MESSAGE_EXPUNGE) != 0;
    bool flags = (group->events & NOTIFY_FLAG_CHANGE) != 0 || annotations;

    if (new != expunge)
        return fail(args, "MessageNew and MessageExpunge go together");
    if (flags && !new)
        return fail(args, "FlagChange and AnnotationChange need MessageNew and MessageExpunge");
    if (notify_group_is_selected(group) &&
        (group->events & ~(unsigned)(NOTIFY_MESSAGES | NOTIFY_UNSUPPORTED)) != 0)
        return fail(args, "Only events of messages are for the selected mailbox");
    return 0;
}

static int read_events(struct imap_args *args, struct notify_request *request, struct notify_group *group)
{
    bool annotations = false;
    int r;

    if (imap_args_word(args, "NONE"))
        return 0;
    r = imap_args_char(args, '(');
    do {
        if (r == 0)
            r = read_event(args, request, group, &annotations);
    } while (r == 0 && imap_args_skip(args, ' '));
    if (r == 0)
        r = imap_args_char(args, ')');
    return r < 0 ? r : check_events(args, group, annotations);
}

/* ---- groups ---- */

static int read_group(const struct client *c, struct imap_args *args, struct notify_request *request,
                      struct notify_group *group)
{
    int r = imap_args_char(args, '(');

    if (r == 0)
        r = source_read(c, args, SOURCES_NOTIFY, &group->where);
    if (r == 0)
        r = imap_args_space(args);
    if (r == 0)
        r = read_events(args, request, group);
    return r == 0 ? imap_args_char(args, ')') : r;
}

static bool has_selected(const struct notify_request *request)
{
    for (size_t i = 0; i < request->group_count; i++)
        if (notify_group_is_selected(&request->groups[i]))
            return true;
    return false;
}

/* One more group; *names: those of all of them. */
static int add_group(const struct client *c, struct imap_args *args, struct notify_request *request,
                     size_t *names)
{
    struct notify_group *group = &request->groups[request->group_count];
    int r;

    if (request->group_count == NOTIFY_GROUPS_MAX)
        return ERR_LIMIT;
    *group = (struct notify_group){.events = 0};
    r = read_group(c, args, request, group);
    if (r < 0)
        return r;
    if (notify_group_is_selected(group) && has_selected(request))
        return fail(args, "SELECTED and SELECTED-DELAYED may stand once");
    request->group_count++;
    *names += group->where.count;
    return *names > NOTIFY_NAMES_MAX ? ERR_LIMIT : 0;
}

static int read_set(const struct client *c, struct imap_args *args, struct notify_request *request)
{
    struct notify_group groups[NOTIFY_GROUPS_MAX];
    bool unsupported = false;
    size_t names = 0;
    int r = imap_args_space(args);

    if (r == 0 && imap_args_word(args, "STATUS")) {
        request->status = true;
        r = imap_args_space(args);
    }
    request->groups = groups;
    do {
        if (r == 0)
            r = add_group(c, args, request, &names);
    } while (r == 0 && imap_args_skip(args, ' '));
    if (r == 0)
        r = imap_args_end(args);
    for (size_t i = 0; i < request->group_count; i++)
        unsupported = unsupported || (groups[i].events & NOTIFY_UNSUPPORTED) != 0;
    request->groups = pool_memdup(args->pool, groups, request->group_count * sizeof(*groups));
    return r == 0 && unsupported ? ERR_UNSUPPORTED : r;
}

int notify_args_parse(const struct client *c, struct imap_args *args, struct notify_request *request)
{
    *request = (struct notify_request){.none = false};
    if (imap_args_word(args, "NONE")) {
        request->none = true;
        return imap_args_end(args);
    }
    return imap_args_word(args, "SET") ? read_set(c, args, request) : fail(args, "Expected SET or NONE");
}
