#include "lib/mail/message.h"

#include <string.h>

#include "lib/base/mem.h"

/* A part that is open: its end has not been seen. */
struct frame {
    struct mail_part *part;
    struct mail_part **tail; /* where its next child goes */
    const char *boundary;    /* NULL: none, or its closing delimiter was seen */
    size_t boundary_len;
    uint64_t lines; /* before its body */
};

struct parser {
    struct pool *pool;
    const char *data, *at, *end;
    uint64_t lines; /* line feeds before `at` */
    unsigned parts; /* made, and promised to multiparts without children */
    unsigned depth; /* frames in use */
    struct frame frames[MAIL_DEPTH_MAX];
};

static uint64_t offset(const struct parser *p, const char *at)
{
    return (uint64_t)(at - p->data);
}

/* The end of the line at p->at. */
static const char *line_end(const struct parser *p)
{
    const char *lf = memchr(p->at, '\n', (size_t)(p->end - p->at));

    return lf != NULL ? lf + 1 : p->end;
}

static void move_to(struct parser *p, const char *next)
{
    if (next > p->at && next[-1] == '\n')
        p->lines++;
    p->at = next;
}

/* Is s[0..end) nothing but blanks and the line end? */
static bool is_padding(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n'))
        s++;
    return s == end;
}

static bool is_delimiter_of(const struct frame *f, const char *line, const char *end, bool *closing_r)
{
    const char *rest = line + 2 + f->boundary_len;

    if (f->boundary == NULL || (size_t)(end - line) < 2 + f->boundary_len ||
        memcmp(line + 2, f->boundary, f->boundary_len) != 0)
        return false;
    *closing_r = end - rest >= 2 && rest[0] == '-' && rest[1] == '-';
    return is_padding(*closing_r ? rest + 2 : rest, end);
}

/* The innermost open multipart that the line delimits; NULL if none. */
static struct frame *find_delimiter(struct parser *p, const char *line, const char *end, bool *closing_r)
{
    if (end - line < 3 || line[0] != '-' || line[1] != '-')
        return NULL;
    for (unsigned i = p->depth; i > 0; i--) {
        if (is_delimiter_of(&p->frames[i - 1], line, end, closing_r))
            return &p->frames[i - 1];
    }
    return NULL;
}

static struct mail_part *new_part(struct parser *p, struct mail_part *parent, uint64_t start)
{
    struct mail_part *part = pool_alloc(p->pool, sizeof(*part));

    part->parent = parent;
    part->header_start = start;
    return part;
}

/* Reads a header up to and with its empty line, or up to a delimiter. */
static void read_header(struct parser *p, struct mail_part *part)
{
    const char *start = p->at;
    uint64_t lines = p->lines;
    bool closing, last = false;

    while (p->at < p->end && !last) {
        const char *next = line_end(p);

        if (find_delimiter(p, p->at, next, &closing) != NULL)
            break;
        last = p->at[0] == '\n' || (next - p->at == 2 && p->at[0] == '\r' && p->at[1] == '\n');
        move_to(p, next);
    }
    part->header_size = (uint64_t)(p->at - start);
    part->header_lines = p->lines - lines;
}

/* The boundary without blanks at its end (RFC 2046 section 5.1.1); NULL if there is none. */
static const char *boundary_of(const struct mail_content *c, size_t *len_r)
{
    const char *b = mail_param_get(c->params, "BOUNDARY");

    *len_r = b == NULL ? 0 : strlen(b);
    while (*len_r > 0 && (b[*len_r - 1] == ' ' || b[*len_r - 1] == '\t'))
        --*len_r;
    return *len_r > 0 ? b : NULL;
}

/* Decides what the part is, given that its frame is the innermost. */
static void classify(struct parser *p, struct frame *f)
{
    struct mail_part *part = f->part;
    bool room = p->depth < MAIL_DEPTH_MAX && p->parts < MAIL_PARTS_MAX;

    if (mail_content_is(&part->content, "MULTIPART", NULL)) {
        f->boundary = room ? boundary_of(&part->content, &f->boundary_len) : NULL;
        part->kind = f->boundary != NULL ? MAIL_MULTIPART : MAIL_LEAF;
    } else if (mail_content_is(&part->content, "MESSAGE", "RFC822") ||
               mail_content_is(&part->content, "MESSAGE", "GLOBAL")) { /* RFC 6532 3.7, RFC 9051 7.5.2 */
        part->kind = room ? MAIL_MESSAGE : MAIL_LEAF;
    } else {
        return;
    }
    if (part->kind == MAIL_LEAF)
        mail_content_default(p->pool, &part->content);
    else
        p->parts++; /* its first child */
}

/* Opens the part whose header begins at p->at, as a child of the innermost frame. */
static struct frame *open_part(struct parser *p)
{
    struct frame *above = p->depth > 0 ? &p->frames[p->depth - 1] : NULL;
    struct frame *f = &p->frames[p->depth];
    struct mail_part *parent = above != NULL ? above->part : NULL;
    bool digest = parent != NULL && mail_content_is(&parent->content, "MULTIPART", "DIGEST");

    BUG_ON(p->depth == MAIL_DEPTH_MAX);
    memset(f, 0, sizeof(*f));
    f->part = new_part(p, parent, offset(p, p->at));
    f->tail = &f->part->children;
    if (above != NULL) {
        if (parent->children != NULL)
            p->parts++;
        *above->tail = f->part;
        above->tail = &f->part->next;
    }
    read_header(p, f->part);
    mail_content_parse(p->pool, p->data + f->part->header_start, f->part->header_size, digest,
                       &f->part->content);
    f->lines = p->lines;
    p->depth++;
    classify(p, f);
    return f;
}

static void open_part_and_messages_in_it(struct parser *p)
{
    while (open_part(p)->part->kind == MAIL_MESSAGE)
        ;
}

static void add_empty_child(struct parser *p, struct mail_part *part, uint64_t at)
{
    part->children = new_part(p, part, at);
    part->children->content.encoding = "7BIT";
    mail_content_default(p->pool, &part->children->content);
}

static uint64_t body_start(const struct mail_part *part)
{
    return part->header_start + part->header_size;
}

/* Ends the innermost part at `end` (line feeds before it: `lines`). */
static void close_part(struct parser *p, uint64_t end, uint64_t lines)
{
    struct frame *f = &p->frames[--p->depth];

    f->part->body_size = end - body_start(f->part);
    f->part->body_lines = lines - f->lines;
    if (f->part->kind == MAIL_MULTIPART && f->part->children == NULL)
        add_empty_child(p, f->part, end);
}

/* At a delimiter line of frame f: the line end before it belongs to it (RFC 2046 section 5.1.1), unless it
 * ends a header: then that part, and those it is in, end here. */
static void close_inside(struct parser *p, const struct frame *f)
{
    uint64_t at = offset(p, p->at), end = at, lines = p->lines;

    if (end > 0 && p->at[-1] == '\n') {
        end--;
        lines--;
        if (end > 0 && p->at[-2] == '\r')
            end--;
    }
    while (&p->frames[p->depth - 1] != f) {
        if (body_start(p->frames[p->depth - 1].part) > end) {
            end = at;
            lines = p->lines;
        }
        close_part(p, end, lines);
    }
}

static void read_line(struct parser *p)
{
    const char *next = line_end(p);
    bool closing;
    struct frame *f = find_delimiter(p, p->at, next, &closing);
    bool full = f != NULL && f->part->children != NULL && p->parts >= MAIL_PARTS_MAX;

    if (f == NULL || (full && !closing)) {
        move_to(p, next);
        return;
    }
    close_inside(p, f);
    move_to(p, next);
    if (closing)
        f->boundary = NULL;
    else
        open_part_and_messages_in_it(p);
}

struct mail_part *mail_parse(struct pool *pool, const char *data, size_t n)
{
    struct parser p = {.pool = pool, .data = data, .at = data, .end = n > 0 ? data + n : data, .parts = 1};
    struct mail_part *root;

    if (n == 0)
        p.data = p.at = p.end = "";
    open_part_and_messages_in_it(&p);
    root = p.frames[0].part;
    while (p.at < p.end)
        read_line(&p);
    while (p.depth > 0)
        close_part(&p, n, p.lines);
    return root;
}
