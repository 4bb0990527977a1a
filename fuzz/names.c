/* Names, patterns and access control lists as clients and peers send them. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/charset/utf7.h"
#include "lib/name/acl.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"
#include "lib/name/wildcard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct name_config config_of(uint8_t bits)
{
    return (struct name_config){
        .separator = bits & 1 ? '/' : '.',
        .altnamespace = bits & 2,
        .virtdomains = bits & 4 ? VIRTDOMAINS_ON : VIRTDOMAINS_OFF,
        .userprefix = "Other Users",
        .sharedprefix = "Shared Folders",
        .defaultdomain = "internal",
        .deletedprefix = "DELETED",
        .implicit_owner_rights = "lkxan",
        .delete_is_d = bits & 8,
        .defaultacl = "anyone lrs",
    };
}

/* What a session can name it sees under a name that means the same. */
static void try_name(const struct name_config *config, bool is_admin, const char *text)
{
    struct pool *pool = pool_new(0);
    struct buf internal = BUF_INIT, external = BUF_INIT, again = BUF_INIT;
    struct namespace ns;

    namespace_init(&ns, config, is_admin ? "cyrus" : "fred@d.org", is_admin, pool);
    if (namespace_to_internal(&ns, text, &internal) == 0) {
        BUG_ON(mboxname_check(internal.data) != 0);
        if (namespace_to_external(&ns, internal.data, &external) == 0) {
            BUG_ON(namespace_to_internal(&ns, external.data, &again) != 0);
            BUG_ON(strcmp(internal.data, again.data) != 0);
        }
    }
    namespace_scan_prefix(&ns, text, &again);
    buf_free(&internal);
    buf_free(&external);
    buf_free(&again);
    pool_free(&pool);
}

static void try_utf7(const char *text, size_t n)
{
    struct buf utf8 = BUF_INIT, again = BUF_INIT;

    if (utf7_to_utf8(text, n, &utf8) == 0) {
        BUG_ON(utf7_from_utf8(buf_cstr(&utf8), utf8.len, &again) != 0);
        BUG_ON(again.len != n || memcmp(buf_cstr(&again), text, n) != 0);
    }
    buf_free(&utf8);
    buf_free(&again);
}

static void try_acl(const struct name_config *config, const char *text)
{
    struct buf edited = BUF_INIT;

    if (acl_check(config, text) == 0 && acl_set(config, text, "fred", ACL_ADD, ACL_READ, &edited) == 0)
        BUG_ON(acl_check(config, edited.data) != 0);
    buf_free(&edited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct name_config config;
    struct wildcard *w;
    char *text;

    if (size < 1)
        return 0;
    config = config_of(data[0]);
    text = xstrndup((const char *)data + 1, size - 1);
    try_name(&config, data[0] & 16, text);
    try_utf7(text, strlen(text));
    try_acl(&config, text);
    if (wildcard_new(config.separator, "", text, &w) == 0) {
        BUG_ON(wildcard_is_literal(w) && !wildcard_match(w, text, strlen(text)));
        wildcard_free(&w);
    }
    free(text);
    return 0;
}
