#include "lib/mboxlist/inbox-rights.h"

#include "lib/name/mboxname.h"
#include "lib/name/name-config.h"

rights_t mboxlist_inbox_rights(struct mboxlist *list, const char *userid, const struct identity *identity)
{
    struct pool *pool = pool_new(1024);
    struct buf name = BUF_INIT;
    struct mboxlist_record record;
    rights_t rights = 0;

    if (mboxname_inbox(name_config(), userid, &name) == 0 &&
        mboxlist_lookup(list, buf_cstr(&name), pool, &record) == 0 &&
        (MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE) != 0)
        rights = identity_rights(name_config(), record.acl, identity, record.name);
    buf_free(&name);
    pool_free(&pool);
    return rights;
}
