/* IMAP: every reader of arguments at every place, sets and URLs against their print, the head of a response. */
#include <stdint.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/imapwire/response.h"
#include "lib/imapwire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_strings(struct pool *pool, const char *s, size_t n)
{
    static int (*const readers[])(struct imap_args * a, const char **s_r) = {
        imap_args_atom,         imap_args_astring, imap_args_string, imap_args_nstring, imap_args_mailbox,
        imap_args_list_mailbox, imap_args_item,    imap_args_seqset, imap_args_date,    imap_args_date_time};

    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        struct imap_args a;
        const char *value;

        imap_args_init(&a, pool, s, n);
        if (readers[i](&a, &value) == 0)
            BUG_ON(a.at > a.end || (value != NULL && strlen(value) > n));
        else
            BUG_ON(*imap_args_error(&a) == '\0');
    }
}

static void read_lists(struct pool *pool, const char *s, size_t n)
{
    const char *const *flags;
    struct imap_args a;
    size_t count;

    imap_args_init(&a, pool, s, n);
    if (imap_args_flags(&a, true, &flags, &count) == 0)
        BUG_ON(flags[count] != NULL);
    imap_args_init(&a, pool, s, n);
    if (imap_args_skip_value(&a) == 0)
        BUG_ON(a.at > a.end);
}

/* A set is the set that its print says. */
static void read_set(struct pool *pool, const char *s, size_t n)
{
    struct seqset set, again;
    struct buf text = BUF_INIT;

    seqset_init(&set, pool);
    seqset_init(&again, pool);
    if (seqset_parse(&set, s, n, 1000) == 0 && !seqset_is_empty(&set)) {
        seqset_print(&set, &text);
        BUG_ON(seqset_parse(&again, text.data, text.len, 1) < 0);
        BUG_ON(seqset_count(&set) != seqset_count(&again) || seqset_max(&set) != seqset_max(&again));
    }
    buf_free(&text);
}

/* What is written as an astring is read as the same, but for NULs. */
static void write_string(struct pool *pool, const char *s, size_t n)
{
    char *value = pool_strndup(pool, s, n);
    struct buf text = BUF_INIT;
    struct imap_args a;
    const char *again;

    imap_put_astring(&text, value);
    imap_args_init(&a, pool, text.data, text.len);
    BUG_ON(imap_args_astring(&a, &again) < 0 || strcmp(value, again) != 0 || !imap_args_at_end(&a));
    buf_free(&text);
}

/* What goes on to another server is read there as here, and can stand in a quoted string; its section in a command. */
static void read_url(struct pool *pool, const char *s, size_t n)
{
    struct imap_url url, again;
    struct buf text = BUF_INIT;

    if (imap_url_parse(pool_strndup(pool, s, n), pool, &url) < 0)
        return;
    BUG_ON(strpbrk(url.section, "\r\n\"\\]{<") != NULL);
    if (url.mailbox != NULL) {
        imap_url_print(&url, &text);
        BUG_ON(strpbrk(buf_cstr(&text), "\r\n\"\\]{ ") != NULL);
        BUG_ON(text.len <= IMAP_URL_MAX && imap_url_parse(buf_cstr(&text), pool, &again) < 0);
        BUG_ON(text.len <= IMAP_URL_MAX && (strcmp(url.mailbox, again.mailbox) != 0 || url.uid != again.uid ||
                                            strcmp(url.section, again.section) != 0 ||
                                            url.uidvalidity != again.uidvalidity || url.size != again.size));
    }
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct imap_literal literal;
    struct imap_response response;
    struct pool *pool = pool_new(0);

    read_strings(pool, s, size);
    read_lists(pool, s, size);
    read_set(pool, s, size);
    write_string(pool, s, size);
    read_url(pool, s, size);
    imap_literal_at_end(s, size, &literal);
    if (imap_response_parse(s, size, &response) == 0)
        BUG_ON(response.rest.n > size);
    pool_free(&pool);
    return 0;
}
