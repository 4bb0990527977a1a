/* What an LMTP client sends: a message in pieces means what it means whole; paths and recipients. */
#include <stdint.h>
#include <string.h>

#include "imap/lmtp/engine/address.h"
#include "imap/lmtp/engine/data.h"
#include "lib/base/mem.h"

static const struct name_config names = {.separator = '/',
                                         .virtdomains = VIRTDOMAINS_USERID,
                                         .userprefix = "Other Users",
                                         .sharedprefix = "Shared Folders",
                                         .deletedprefix = "DELETED",
                                         .admins = "",
                                         .proxyservers = "",
                                         .implicit_owner_rights = "lkxan",
                                         .defaultacl = "anyone lrs"};

static size_t read_message(const char *data, size_t n, size_t piece, struct buf *to)
{
    struct lmtpd_data d;
    size_t at = 0, used;
    bool end = false;

    for (lmtpd_data_begin(&d); at < n && !end; at += used)
        end = lmtpd_data_feed(&d, data + at, piece < n - at ? piece : n - at, &used, to);
    BUG_ON(end && (to->len > 0 && to->data[to->len - 1] != '\n'));
    return at;
}

static void read_recipient(const char *data, size_t n)
{
    const struct lmtpd_naming naming = {.names = &names, .downcase = true, .postuser = "bb"};
    struct pool *pool = pool_new(0);
    struct buf path = BUF_INIT;
    struct lmtpd_names resolved;
    size_t used;

    if (lmtpd_path_parse(data, n, &path, &used) == 0) {
        BUG_ON(used > n);
        lmtpd_names_resolve(&naming, pool, buf_cstr(&path), &resolved);
    }
    buf_free(&path);
    pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = (const char *)data;
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    size_t at = read_message(in, size, size, &whole);

    BUG_ON(read_message(in, size, 1, &pieces) != at);
    BUG_ON(whole.len != pieces.len || (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0));
    read_recipient(in, size);
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
