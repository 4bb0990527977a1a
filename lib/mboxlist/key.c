/* key.c: the keys of the list. */
#include "lib/mboxlist/key.h"

#include <string.h>

#include "lib/base/digest.h"

char key_char(char c)
{
    return c == '.' ? KEY_SEPARATOR : c == '^' ? '.' : c;
}

static char name_char(char c)
{
    return c == KEY_SEPARATOR ? '.' : c == '.' ? '^' : c;
}

void key_name(struct buf *key, const char *name)
{
    size_t at = key->len;

    buf_puts(key, name);
    for (; at < key->len; at++)
        key->data[at] = key_char(key->data[at]);
}

const char *key_to_name(struct pool *pool, const char *key, size_t len)
{
    char *name = pool_strndup(pool, key, len);

    for (char *p = name; *p != '\0'; p++)
        *p = name_char(*p);
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
