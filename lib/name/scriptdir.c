#include "lib/name/scriptdir.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/name/mboxname.h"

/* The whole name counts up to its first dot; 23 letters. */
static char full_hash(const char *name, size_t n)
{
    uint32_t hash = 0;

    for (size_t i = 0; i < n && name[i] != '.'; i++)
        hash = ((hash << 3) ^ (hash >> 5)) ^ (unsigned char)name[i];
    return (char)('A' + hash % 23);
}

static char hash_of(const char *name, size_t n)
{
    char letter = n > 0 ? str_lower_c(*name) : 'q';

    if (opt_switch(OPT_FULLDIRHASH))
        return full_hash(name, n);
    return letter >= 'a' && letter <= 'z' ? letter : 'q';
}

/* <sievedir>, or that of the domain; the user's name within it in *user_r. */
static int put_root(const struct name_config *config, const char *userid, struct buf *path, struct buf *inbox,
                    const char **user_r)
{
    size_t domain_len;
    int r = mboxname_inbox(config, userid, inbox);

    if (r < 0)
        return r;
    *user_r = mboxname_local(buf_cstr(inbox), &domain_len) + strlen("user.");
    buf_puts(path, opt_string(OPT_SIEVEDIR));
    if (domain_len > 0)
        buf_printf(path, "/domain/%c/%.*s", hash_of(inbox->data, domain_len), (int)domain_len, inbox->data);
    return 0;
}

int scriptdir_user(const struct name_config *config, const char *userid, struct buf *path)
{
    struct buf inbox = BUF_INIT;
    const char *user;
    int r = put_root(config, userid, path, &inbox, &user);

    if (r == 0)
        buf_printf(path, "/%c/%s", hash_of(user, strlen(user)), user);
    buf_free(&inbox);
    return r;
}

int scriptdir_global(const struct name_config *config, const char *userid, struct buf *path)
{
    struct buf inbox = BUF_INIT;
    const char *user;
    int r = put_root(config, userid, path, &inbox, &user);

    if (r == 0)
        buf_puts(path, "/global");
    buf_free(&inbox);
    return r;
}
