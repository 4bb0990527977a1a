/* key.c: the keys of the list. */
#include "lib/mboxlist/key.h"

#include <string.h>

#include "lib/base/digest.h"

void key_name(struct buf *key, const char *name)
{
    size_t at = key->len;

    buf_puts(key, name);
    for (; at < key->len; at++)
        if (key->data[at] == '.')
            key->data[at] = KEY_SEPARATOR;
}

const char *key_to_name(struct pool *pool, const char *key, size_t len)
{
    char *name = pool_strndup(pool, key, len);

    for (char *p = name; *p != '\0'; p++)
        if (*p == KEY_SEPARATOR)
            *p = '.';
    return name;
}

void key_owner(struct buf *key, const char *identifier)
{
    unsigned char sha1[DIGEST_SHA1_SIZE];
    size_t len = strlen(identifier);

    if (len <= KEY_OWNER_MAX) {
        buf_append(key, identifier, len);
    } else {
        digest_sha1(identifier, len, sha1);
        buf_append(key, sha1, sizeof(sha1));
    }
    buf_putc(key, '\0');
}
