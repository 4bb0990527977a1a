#include "imap/store/listed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/mailbox-private.h"
#include "imap/store/quota.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { LINES = 4 /* name, ACL, special uses, limits */ };
#define UNKNOWN "?"

/* ---- the text ---- */

static const char *or_unknown(const char *text)
{
    return text != NULL && strchr(text, '\n') == NULL ? text : UNKNOWN;
}

static void put_limits(struct buf *to, const struct mailbox_listed *listed)
{
    if (!listed->has_limits)
        buf_puts(to, UNKNOWN);
    for (size_t i = 0; listed->has_limits && i < QUOTA_RESOURCES; i++)
        buf_printf(to, "%s%" PRId64, i > 0 ? " " : "", listed->limits.limit[i]);
}

static bool fits(char to[MAILBOX_LISTED_SIZE], const char *name, const char *acl, const char *special_use,
                 const char *limits)
{
    struct buf text = BUF_INIT;
    bool fit;

    buf_printf(&text, "%s\n%s\n%s\n%s", name, acl, special_use, limits);
    fit = text.len < MAILBOX_LISTED_SIZE;
    if (fit)
        memcpy(to, buf_cstr(&text), text.len);
    buf_free(&text);
    return fit;
}

void listed_encode(char to[MAILBOX_LISTED_SIZE], const struct mailbox_listed *listed)
{
    const char *acl = or_unknown(listed->acl), *use = or_unknown(listed->special_use);
    struct buf limits = BUF_INIT;

    put_limits(&limits, listed);
    memset(to, 0, MAILBOX_LISTED_SIZE);
    (void)(fits(to, listed->name, acl, use, buf_cstr(&limits)) ||
           fits(to, listed->name, acl, UNKNOWN, buf_cstr(&limits)) ||
           fits(to, listed->name, UNKNOWN, use, buf_cstr(&limits)) ||
           fits(to, listed->name, UNKNOWN, UNKNOWN, buf_cstr(&limits)) ||
           fits(to, listed->name, UNKNOWN, UNKNOWN, UNKNOWN));
    buf_free(&limits);
}

static bool take_limits(const char *text, struct quota_limits *limits_r)
{
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        char *end;

        errno = 0;
        limits_r->limit[i] = strtoll(text, &end, 10);
        if (errno != 0 || end == text || limits_r->limit[i] < QUOTA_UNLIMITED ||
            *end != (i + 1 < QUOTA_RESOURCES ? ' ' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

bool listed_decode(const char *text, struct pool *pool, struct mailbox_listed *listed_r)
{
    const char *lines[LINES], *end = text;

    memset(listed_r, 0, sizeof(*listed_r));
    for (size_t i = 0; i < LINES; i++, text = end + 1) {
        end = text + strcspn(text, "\n");
        if ((*end == '\n') != (i + 1 < LINES))
            return false;
        lines[i] = pool_strndup(pool, text, (size_t)(end - text));
    }
    if (lines[0][0] == '\0')
        return false;
    listed_r->name = lines[0];
    listed_r->acl = strcmp(lines[1], UNKNOWN) != 0 ? lines[1] : NULL;
    listed_r->special_use = strcmp(lines[2], UNKNOWN) != 0 ? lines[2] : NULL;
    listed_r->has_limits = take_limits(lines[3], &listed_r->limits);
    return true;
}

/* ---- the header ---- */

int mailbox_set_listed(struct mailbox *m, const struct mailbox_listed *listed, const char *quota_root,
                       uint32_t uidvalidity)
{
    int r;

    if (quota_root != NULL && strlen(quota_root) >= sizeof(m->next.quota_root))
        return ERR_INVALID;
    r = index_begin(m, m->store->options.lock_ms);
    if (r < 0)
        return r;
    memset(m->next.quota_root, 0, sizeof(m->next.quota_root));
    if (quota_root != NULL)
        str_copy(m->next.quota_root, sizeof(m->next.quota_root), quota_root);
    if (uidvalidity != 0)
        m->next.uidvalidity = uidvalidity;
    listed_encode(m->next.listed, listed);
    if (memcmp(&m->next, &m->header, sizeof(m->next)) != 0)
        r = index_commit(m, true);
    if (r == 0)
        r = mailbox_quota_commit(m);
    index_end(m);
    return r;
}

int mailbox_listed_read(struct store *store, const char *partition, const char *id, struct pool *pool,
                        struct mailbox_listed *listed_r, struct mailbox_header *header_r)
{
    struct header_pair pair;
    struct buf path = BUF_INIT;
    int fd = -1, newest, r = mailbox_metadata_dir(store, partition, id, &path);

    memset(listed_r, 0, sizeof(*listed_r));
    if (r == 0) {
        buf_puts(&path, "/index");
        fd = open(buf_cstr(&path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? error_from_errno(errno) : header_pair_read(fd, &pair);
    }
    newest = r == 0 ? header_pair_newest(&pair) : r == ERR_EOF ? ERR_CORRUPT : r;
    if (newest >= 0) {
        *header_r = pair.copy[newest];
        listed_decode(header_r->listed, pool, listed_r);
    }
    if (fd >= 0)
        close(fd);
    buf_free(&path);
    return newest < 0 ? newest : 0;
}

int mailbox_has_files(struct store *store, const char *partition, const char *id)
{
    struct buf path = BUF_INIT;
    uint32_t *uids = NULL, count = 0;
    int fd, r = mailbox_dir(store, partition, id, &path);

    if (r == 0) {
        fd = open(buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? error_from_errno(errno) : message_files_list(fd, &uids, &count);
        if (fd >= 0)
            close(fd);
    }
    free(uids);
    buf_free(&path);
    return r == 0 ? count > 0 : r == ERR_NOTFOUND ? 0 : r;
}
