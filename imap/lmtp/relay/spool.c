#include "imap/lmtp/relay/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"

void spool_init(struct spool *s, const char *dir)
{
    memset(s, 0, sizeof(*s));
    s->fd = -1;
    s->dir = dir;
}

void spool_free(struct spool *s)
{
    buf_free(&s->memory);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static int move_to_file(struct spool *s)
{
    int r;

    s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return error_from_errno(errno);
    r = file_write(s->fd, buf_cstr(&s->memory), s->memory.len);
    buf_free(&s->memory);
    return r;
}

int spool_write(struct spool *s, const void *data, size_t n)
{
    int r = 0;

    if (s->fd < 0 && s->memory.len + n > SPOOL_MEMORY)
        r = move_to_file(s);
    if (r < 0)
        return r;
    s->size += (int64_t)n;
    if (s->fd >= 0)
        return file_write(s->fd, data, n);
    buf_append(&s->memory, data, n);
    return 0;
}

ssize_t spool_read(const struct spool *s, int64_t offset, void *to, size_t n)
{
    int64_t left = s->size - offset;

    if (left <= 0)
        return 0;
    if ((uint64_t)left < n)
        n = (size_t)left;
    if (s->fd >= 0)
        return file_pread_some(s->fd, to, n, offset);
    memcpy(to, s->memory.data + offset, n);
    return (ssize_t)n;
}
