#include "imap/sievehost/files-private.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* A file name has 255 bytes; some are for the suffix, and for that of the temporary file. */
enum { PLAIN_MAX = 200 };

#define DIGEST_PREFIX ".name-"

void script_base(const char *name, struct buf *base)
{
    unsigned char digest[DIGEST_SHA1_SIZE];
    char hex[2 * sizeof(digest) + 1];

    if (strlen(name) <= PLAIN_MAX && strchr(name, '/') == NULL && *name != '.') {
        buf_puts(base, name);
        return;
    }
    digest_sha1(name, strlen(name), digest);
    str_hex(hex, digest, sizeof(digest));
    buf_printf(base, DIGEST_PREFIX "%s", hex);
}

bool script_base_is_digest(const char *base)
{
    return str_has_prefix(base, DIGEST_PREFIX);
}

int script_active_base(const char *directory, struct buf *base)
{
    char target[PATH_MAX + 1];
    struct buf link = BUF_INIT;
    const char *name;
    ssize_t n;

    buf_printf(&link, "%s/" ACTIVE_LINK, directory);
    n = readlink(buf_cstr(&link), target, PATH_MAX);
    buf_free(&link);
    if (n < 0) /* a link that is none, of whatever else: as if it were not there */
        return errno == ENOENT || errno == EINVAL || errno == ENOTDIR ? ERR_NOTFOUND
                                                                      : error_from_errno(errno);
    target[n] = '\0';
    name = strrchr(target, '/') != NULL ? strrchr(target, '/') + 1 : target;
    n = (ssize_t)strlen(name);
    if (str_has_suffix(name, SCRIPT_SUFFIX))
        n -= (ssize_t)strlen(SCRIPT_SUFFIX);
    else if (str_has_suffix(name, BYTECODE_SUFFIX))
        n -= (ssize_t)strlen(BYTECODE_SUFFIX);
    buf_append(base, name, (size_t)n);
    return n > 0 ? 0 : ERR_NOTFOUND;
}
