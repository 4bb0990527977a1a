/* annotations.c: the annotations that a script asks for (RFC 5490), with its owner's rights. */
#include <string.h>

#include "imap/sievehost/host-private.h"
#include "imap/sievehost/remote.h"
#include "imap/store/mailbox.h"
#include "imap/store/metadata.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mboxlist/annotations.h"
#include "lib/name/identity.h"

enum { ASK_MS = 5000 };

/* "/private/comment": the name without its scope, in lower case, in the pool; NULL: there can be no such entry. */
static const char *split_entry(struct sieve_recipient *r, const char *entry, bool *is_private_r)
{
    size_t scope;
    char *name;

    *is_private_r = str_ieq_n(entry, "/private/", strlen("/private/"));
    scope = strlen(*is_private_r ? "/private" : "/shared");
    if (!*is_private_r && !str_ieq_n(entry, "/shared/", strlen("/shared/")))
        return NULL;
    if (strlen(entry + scope) > ANNOTATION_ENTRY_MAX || !str_is_ascii(entry, strlen(entry)) ||
        strpbrk(entry, "*%") != NULL)
        return NULL;
    name = pool_strdup(r->pool, entry + scope);
    str_lower(name);
    return name;
}

static int ask_here(struct sieve_recipient *r, const struct mboxlist_record *record, const char *name,
                    bool is_private, struct buf *value)
{
    struct metadata_place place = {
        .store = r->job->host->store, .list = r->job->host->list, .record = record, .who = r->identity};
    struct annotation annotation;
    int result = metadata_value(&place, name, is_private, r->pool, &annotation);

    mailbox_close(&place.mailbox);
    if (result < 0 || annotation.value == NULL)
        return result;
    buf_append(value, annotation.value, annotation.len);
    return 1;
}

static int ask_elsewhere(struct sieve_recipient *r, const struct mboxlist_record *record, const char *entry,
                         struct buf *value)
{
    struct remote_entry question = {.server = record->server, .userid = r->userid, .entry = entry};
    int64_t deadline = clock_deadline(ASK_MS);
    struct buf external = BUF_INIT;
    int result = namespace_to_external(&r->ns, record->name, &external);

    question.mailbox = buf_cstr(&external);
    if (result == 0)
        result = remote_metadata(&question, deadline < r->job->deadline ? deadline : r->job->deadline, value);
    buf_free(&external);
    return result;
}

static bool may_see(struct sieve_recipient *r, const struct mboxlist_record *record)
{
    rights_t rights = identity_rights(r->job->host->names, record->acl, r->identity, record->name);

    return r->identity->is_admin || (rights & METADATA_RIGHTS_TO_SEE) != 0;
}

int annotation_of(struct sieve_recipient *r, const char *mailbox, const char *entry, struct buf *value)
{
    bool is_private;
    const char *name = split_entry(r, entry, &is_private), *internal;
    struct mboxlist_record record;
    int result;

    if (name == NULL)
        return 0;
    if (mailbox == NULL)
        return ask_here(r, NULL, name, is_private, value);
    internal = mailbox_internal(r, mailbox);
    result = internal != NULL ? mailbox_place(r, internal, &record) : PLACE_NOWHERE;
    if (result <= 0 || !may_see(r, &record))
        return result < 0 ? result : 0;
    if (result == PLACE_HERE)
        return ask_here(r, &record, name, is_private, value);
    return r->may_wait ? ask_elsewhere(r, &record, entry, value) : ERR_AGAIN;
}
