/* specialuse.c: the special uses of a mailbox as its entry /private/specialuse (RFC 6154 section 4). */
#include "lib/mboxlist/special-use.h"

#include <string.h>

#include "imap/store/metadata.h"
#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

const char *specialuse_holder(const struct identity *who, const char *mailbox, struct pool *pool)
{
    struct buf owner = BUF_INIT;
    const char *holder = NULL;

    if (mboxname_owner(name_config(), mailbox, &owner) &&
        (who->is_admin || mboxname_is_owner(name_config(), mailbox, who->userid)))
        holder = pool_strdup(pool, buf_cstr(&owner));
    buf_free(&owner);
    return holder;
}

int specialuse_check(struct mboxlist *list, const char *mailbox, const char *holder, const char *value,
                     size_t len, struct pool *pool, const char **uses_r)
{
    struct buf inbox = BUF_INIT;
    const char *other;
    int r;

    if (strlen(value) != len || special_use_read(value, pool, uses_r) < 0 ||
        !special_use_is_settable(*uses_r))
        return ERR_INVALID;
    if (**uses_r == '\0')
        return 0;
    if (mboxname_is_inbox(mailbox))
        return ERR_INVALID;
    r = mboxname_inbox(name_config(), holder, &inbox);
    if (r == 0) {
        r = special_use_holder(list, buf_cstr(&inbox), holder, *uses_r, mailbox, pool, &other);
        r = r == 0 ? ERR_EXISTS : r == ERR_NOTFOUND ? 0 : r;
    }
    buf_free(&inbox);
    return r;
}
