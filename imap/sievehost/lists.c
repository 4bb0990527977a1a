/* lists.c: lists that stand outside of scripts (RFC 6134), as files (doc/formats/sieve-scripts.md): `:addrbook:NAME`, which is
 * short for `urn:ietf:params:sieve:addrbook:NAME`, is the owner's own, a tag: URI the server's. */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "imap/sievehost/files-private.h"
#include "imap/sievehost/host-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/charset/fold.h"
#include "lib/mail/address.h"
#include "lib/name/scriptdir.h"

enum {
    NAME_MAX_BYTES = 512,
    FILE_MAX = 1024 * 1024,
    FILE_HERE = 64 * 1024, /* larger ones are not read by a worker */
};

#define URN          "urn:ietf:params:sieve"
#define ADDRBOOK     ":addrbook:"
#define DEFAULT_LIST "default"

/* The file of a list; ERR_NOTFOUND: no list can be called so. */
static int file_of(const struct sieve_recipient *r, const char *name, struct buf *path)
{
    const struct name_config *names = r->job->host->names;
    bool own;
    int result;

    if (str_has_iprefix(name, URN ADDRBOOK))
        name += strlen(URN);
    own = str_has_iprefix(name, ADDRBOOK);
    if (strlen(name) > NAME_MAX_BYTES || (!own && !str_has_iprefix(name, "tag:")))
        return ERR_NOTFOUND;
    name += own ? strlen(ADDRBOOK) : 0;
    if (*name == '\0')
        return ERR_NOTFOUND;
    if (own && str_ieq(name, DEFAULT_LIST))
        name = DEFAULT_LIST;
    result = (own ? scriptdir_user : scriptdir_global)(names, r->userid, path);
    if (result < 0)
        return result == ERR_BADNAME ? ERR_NOTFOUND : result;
    buf_putc(path, '/');
    script_base(name, path);
    buf_puts(path, LIST_SUFFIX);
    return 0;
}

static void add_line(struct sieve_recipient *r, struct list *list, const char *line, size_t n)
{
    struct buf folded = BUF_INIT;

    fold_text(FOLD_UNICODE, line, n, &folded);
    if (hash_get(list->folded, buf_cstr(&folded)) == NULL) {
        list->members[list->count] = pool_strndup(r->job->pool, line, n);
        hash_set(list->folded, buf_cstr(&folded), list->members + list->count++);
    }
    buf_free(&folded);
}

/* One value a line; blanks at its ends, empty lines and those that begin with # do not count. */
static void read_lines(struct sieve_recipient *r, struct list *list, const char *text)
{
    size_t lines = 1;

    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    list->members = pool_alloc(r->job->pool, lines * sizeof(*list->members));
    list->folded = hash_new(NULL);
    while (*text != '\0') {
        size_t n = strcspn(text, "\n"), skip = strspn(text, " \t\r"), end = n;

        while (end > 0 && strchr(" \t\r", text[end - 1]) != NULL)
            end--;
        if (skip < end && text[skip] != '#')
            add_line(r, list, text + skip, end - skip);
        text += n + (text[n] == '\n');
    }
}

static int load(struct sieve_recipient *r, const char *path, struct list *list)
{
    struct buf text = BUF_INIT;
    struct stat st;
    int result = 0;

    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND : error_from_errno(errno);
    if (!S_ISREG(st.st_mode))
        return ERR_NOTFOUND;
    if (st.st_size > FILE_HERE && !r->may_wait)
        return ERR_AGAIN;
    result = file_read_all(path, FILE_MAX, &text);
    if (result == 0)
        read_lines(r, list, buf_cstr(&text));
    buf_free(&text);
    return result;
}

int list_find(struct sieve_recipient *r, const char *name, const struct list **list_r)
{
    struct buf path = BUF_INIT;
    struct list *list = r->lists;
    int result;

    while (list != NULL && strcmp(list->name, name) != 0)
        list = list->next;
    *list_r = list;
    if (list != NULL)
        return 0;
    list = pool_alloc(r->job->pool, sizeof(*list));
    list->name = pool_strdup(r->job->pool, name);
    result = file_of(r, name, &path);
    if (result == 0)
        result = load(r, buf_cstr(&path), list);
    buf_free(&path);
    if (result < 0)
        return result;
    list->next = r->lists;
    *list_r = r->lists = list;
    return 0;
}

void lists_free(struct sieve_recipient *r)
{
    for (struct list *list = r->lists; list != NULL; list = list->next)
        hash_free(&list->folded);
    r->lists = NULL;
}

bool list_has(const struct list *list, const struct sieve_string *value)
{
    struct buf folded = BUF_INIT;
    bool found = false;

    if (memchr(value->data, '\0', value->len) == NULL) {
        fold_text(FOLD_UNICODE, value->data, value->len, &folded);
        found = hash_get(list->folded, buf_cstr(&folded)) != NULL;
    }
    buf_free(&folded);
    return found;
}

/* The address that a line is, NULL: it is none. */
static const char *address_of(struct sieve_recipient *r, const char *line)
{
    struct mail_address *a = mail_addresses_parse(r->pool, line, strlen(line), 2);
    struct buf spec = BUF_INIT;
    const char *address = NULL;

    if (a != NULL && a->next == NULL && a->kind == MAIL_ADDRESS && a->mailbox != NULL && a->host != NULL &&
        *a->mailbox != '\0' && *a->host != '\0') {
        mail_address_spec(a, &spec);
        address = pool_strdup(r->pool, buf_cstr(&spec));
    }
    buf_free(&spec);
    return address;
}

int list_addresses(struct sieve_recipient *r, const char *name, const char *const **addresses_r)
{
    const struct list *list;
    const char **addresses, *address;
    size_t count = 0;
    int result = list_find(r, name, &list);

    if (result < 0)
        return result;
    addresses = pool_alloc(r->pool, (SIEVEHOST_LIST_MAX + 1) * sizeof(*addresses));
    for (size_t i = 0; i < list->count; i++) {
        address = address_of(r, list->members[i]);
        if (address == NULL)
            continue;
        if (count == SIEVEHOST_LIST_MAX)
            return ERR_LIMIT;
        addresses[count++] = address;
    }
    *addresses_r = addresses;
    return count > 0 ? 0 : ERR_INVALID;
}
