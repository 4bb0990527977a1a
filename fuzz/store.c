/* Damaged mailbox files: each four bytes of the input change one byte of the index or the cache, or cut it; then a client
 * does everything with the mailbox.  With an odd first byte the checksums of the index are right all the same. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/serve.h"
#include "fuzz/served-store.h"
#include "imap/store/codec.h"
#include "imap/store/mailbox.h"
#include "imap/store/store.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"

enum { RENEW_AFTER = 500, FILE_MAX = 1024 * 1024 };

static const char work[] =
    "a STATUS INBOX (MESSAGES UNSEEN RECENT UIDNEXT)\r\nb EXAMINE INBOX\r\n"
    "c FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS "
    "(Subject)]"
    " BODY.PEEK[2] BODY.PEEK[2.HEADER] BODY.PEEK[]<3.9>)\r\n"
    "d UID SEARCH OR SUBJECT caf TEXT hello NOT KEYWORD key1\r\ne SELECT INBOX\r\n"
    "f STORE 1 +FLAGS (\\Deleted $new)\r\ng UID STORE 2:* -FLAGS (\\Flagged key2)\r\nh COPY 1:* Work\r\n"
    "i EXPUNGE\r\nj FETCH 1:* BODY[]\r\nk NOOP\r\nl CLOSE\r\nm SELECT INBOX\r\nn LOGOUT\r\n";

/* fred's INBOX as it was whole. */
static struct buf folder, index_file, cache_file, cache_name;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put32(char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(v >> 8 * i);
}

static void seal(char *from, size_t n)
{
    put32(from + n - 4, digest_crc32c(from, n - 4));
}

static void seal_index(struct buf *file)
{
    size_t at;

    if (file->len < INDEX_RECORDS_AT)
        return;
    seal(file->data, INDEX_HEADER_SIZE);
    seal(file->data + INDEX_HEADER_B, INDEX_HEADER_SIZE);
    for (at = INDEX_FLAG_NAMES_AT; at < INDEX_RECORDS_AT; at += INDEX_FLAG_NAME_SIZE)
        if (file->data[at] != '\0')
            seal(file->data + at, INDEX_FLAG_NAME_SIZE);
    for (at = INDEX_RECORDS_AT; at + INDEX_RECORD_SIZE <= file->len; at += INDEX_RECORD_SIZE) {
        seal(file->data + at, INDEX_RECORD_FIXED + 4);
        seal(file->data + at, INDEX_RECORD_SIZE);
    }
}

static void write_file(const char *name, const struct buf *text)
{
    struct buf path = BUF_INIT;

    buf_printf(&path, "%s/%s", buf_cstr(&folder), name);
    BUG_ON(file_replace(buf_cstr(&path), text->data, text->len, 0600) != 0);
    buf_free(&path);
}

/* Calls fn for each index and cache file there is. */
static void each_file(void (*fn)(const char *name, const char *path))
{
    DIR *dir = opendir(buf_cstr(&folder));
    struct buf path = BUF_INIT;
    struct dirent *e;

    BUG_ON(dir == NULL);
    while ((e = readdir(dir)) != NULL) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s", buf_cstr(&folder), e->d_name);
        if (strncmp(e->d_name, "cache", 5) == 0 || strncmp(e->d_name, "index", 5) == 0)
            fn(e->d_name, buf_cstr(&path));
    }
    closedir(dir);
    buf_free(&path);
}

static void remove_one(const char *name, const char *path)
{
    (void)name;
    BUG_ON(unlink(path) != 0);
}

static void keep_one(const char *name, const char *path)
{
    bool is_index = strcmp(name, "index") == 0;

    BUG_ON(file_read_all(path, FILE_MAX, is_index ? &index_file : &cache_file) < 0);
    if (!is_index)
        buf_puts(&cache_name, name);
}

static void keep_files(void)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    struct mboxlist *list;

    BUG_ON(mboxlist_open(NULL, &list, NULL) != 0);
    BUG_ON(mboxlist_lookup(list, "user.fred", pool, &record) != 0);
    buf_reset(&folder);
    buf_reset(&index_file);
    buf_reset(&cache_file);
    buf_reset(&cache_name);
    BUG_ON(mailbox_dir_under(config_partition(record.partition), record.id, &folder) != 0);
    mboxlist_close(&list);
    pool_free(&pool);
    each_file(keep_one);
    BUG_ON(index_file.len == 0 || cache_file.len == 0);
}

static void damage(const uint8_t *data, size_t size)
{
    struct buf index = BUF_INIT, cache = BUF_INIT;

    buf_append(&index, index_file.data, index_file.len);
    buf_append(&cache, cache_file.data, cache_file.len);
    for (size_t i = 1; i + 4 <= size; i += 4) {
        struct buf *file = data[i] & 1 ? &cache : &index;
        size_t at = (size_t)data[i + 1] | (size_t)data[i + 2] << 8;

        if (at >= file->len)
            continue;
        if (data[i] & 0x80)
            file->len = at;
        else
            file->data[at] = (char)((uint8_t)file->data[at] ^ data[i + 3]);
    }
    if (data[0] & 1)
        seal_index(&index);
    each_file(remove_one);
    write_file("index", &index);
    write_file(buf_cstr(&cache_name), &cache);
    buf_free(&index);
    buf_free(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_service *service;
    static unsigned count;

    if (size == 0)
        return 0;
    if (service == NULL || count % RENEW_AFTER == 0) {
        if (service == NULL)
            service = served_store_begin();
        else
            served_store_renew();
        keep_files();
    }
    count++;
    damage(data, size);
    served_store_user("fred");
    serve_say(service, work);
    return 0;
}
