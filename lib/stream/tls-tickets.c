#include "lib/stream/tls-tickets.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* The file: doc/protocols/tls-tickets. */
enum {
    HEAD_SIZE = 16,
    RECORD_SIZE = 8 + TICKET_NAME_SIZE + 2 * TICKET_KEY_SIZE,
    FILE_MAX = HEAD_SIZE + TICKET_KEYS_MAX * RECORD_SIZE + 4,
    FILE_VERSION = 1,
    LOCK_WAIT_MS = 2000, /* a handshake waits for it at the worst */
};

static const char magic[8] = "IATLTKT\n";

struct keys {
    unsigned count;
    struct ticket_key key[TICKET_KEYS_MAX]; /* the newest first */
};

struct tickets {
    pthread_mutex_t mutex;
    char *path, *lock_path;
    int64_t lifetime;
    int64_t looked; /* when the file was last read */
    struct keys keys;
    bool own; /* the file cannot be used: said once */
};

struct tickets *tickets_new(const char *path, int64_t lifetime_s)
{
    struct tickets *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->mutex, NULL);
    t->path = xstrdup(path);
    t->lock_path = xstrprintf("%s.lock", path);
    t->lifetime = lifetime_s;
    t->looked = -1 - (int64_t)TICKET_CHECK_S;
    return t;
}

void tickets_free(struct tickets **t)
{
    if (*t == NULL)
        return;
    pthread_mutex_destroy(&(*t)->mutex);
    OPENSSL_cleanse(&(*t)->keys, sizeof((*t)->keys));
    free((*t)->path);
    free((*t)->lock_path);
    free(*t);
    *t = NULL;
}

/* ---- the file ---- */

static void encode(const struct keys *keys, struct buf *to)
{
    uint32_t version = htole32(FILE_VERSION), count = htole32(keys->count), crc;

    buf_append(to, magic, sizeof(magic));
    buf_append(to, &version, 4);
    buf_append(to, &count, 4);
    for (unsigned i = 0; i < keys->count; i++) {
        const struct ticket_key *k = &keys->key[i];
        uint64_t created = htole64((uint64_t)k->created);

        buf_append(to, &created, 8);
        buf_append(to, k->name, sizeof(k->name));
        buf_append(to, k->cipher, sizeof(k->cipher));
        buf_append(to, k->mac, sizeof(k->mac));
    }
    crc = htole32(digest_crc32c(to->data, to->len));
    buf_append(to, &crc, 4);
}

static uint32_t get32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return le32toh(v);
}

static int decode(const struct buf *from, struct keys *keys)
{
    const char *p = from->data;
    unsigned count;

    if (from->len < HEAD_SIZE + 4 || memcmp(p, magic, sizeof(magic)) != 0)
        return ERR_CORRUPT;
    if (get32(p + 8) != FILE_VERSION)
        return ERR_VERSION;
    count = get32(p + 12);
    if (count == 0 || count > TICKET_KEYS_MAX || from->len != HEAD_SIZE + count * RECORD_SIZE + 4 ||
        get32(p + from->len - 4) != digest_crc32c(p, from->len - 4))
        return ERR_CORRUPT;
    keys->count = count;
    p += HEAD_SIZE;
    for (unsigned i = 0; i < count; i++, p += RECORD_SIZE) {
        struct ticket_key *k = &keys->key[i];
        uint64_t created;

        memcpy(&created, p, 8);
        k->created = (int64_t)le64toh(created);
        memcpy(k->name, p + 8, sizeof(k->name));
        memcpy(k->cipher, p + 8 + TICKET_NAME_SIZE, sizeof(k->cipher));
        memcpy(k->mac, p + 8 + TICKET_NAME_SIZE + TICKET_KEY_SIZE, sizeof(k->mac));
    }
    return 0;
}

/* Keys that others could have read or given us are worth nothing. */
static int load(const char *path, struct keys *keys)
{
    struct buf file = BUF_INIT;
    struct stat st;
    int r = 0;

    if (lstat(path, &st) != 0)
        return ERR_NOTFOUND;
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != geteuid())
        r = ERR_DENIED;
    if (r == 0)
        r = file_read_all(path, FILE_MAX, &file);
    if (r == 0)
        r = decode(&file, keys);
    if (file.len > 0)
        OPENSSL_cleanse(file.data, file.len);
    buf_free(&file);
    return r;
}

static int save(const char *path, const struct keys *keys)
{
    struct buf file = BUF_INIT;
    int r;

    encode(keys, &file);
    r = file_replace(path, file.data, file.len, 0600);
    OPENSSL_cleanse(file.data, file.len);
    buf_free(&file);
    return r;
}

/* ---- rotation ---- */

static bool due(const struct keys *keys, int64_t now)
{
    return keys->count == 0 || now - keys->key[0].created >= TICKET_ROTATE_S ||
           keys->key[0].created > now + 60;
}

/* A new key in front; those drop out that nothing sealed with may use any more. */
static void rotate(struct keys *keys, int64_t now, int64_t lifetime)
{
    unsigned kept = 0;

    while (kept < keys->count && kept < TICKET_KEYS_MAX - 1 &&
           now - keys->key[kept].created < TICKET_ROTATE_S + lifetime)
        kept++;
    memmove(&keys->key[1], &keys->key[0], kept * sizeof(keys->key[0]));
    keys->key[0].created = now;
    digest_random(keys->key[0].name, TICKET_NAME_SIZE);
    digest_random(keys->key[0].cipher, TICKET_KEY_SIZE);
    digest_random(keys->key[0].mac, TICKET_KEY_SIZE);
    keys->count = kept + 1;
}

/* One process at a time makes a new key; the others find it in the file. */
static int rotate_shared(struct tickets *t, int64_t now)
{
    struct lock *lock = NULL;
    struct keys keys = {0};
    int r = lock_acquire_path(t->lock_path, LOCK_WAIT_MS, &lock);

    if (r != 0)
        return r;
    if (load(t->path, &keys) != 0)
        keys.count = 0;
    if (due(&keys, now)) {
        rotate(&keys, now, t->lifetime);
        r = save(t->path, &keys);
    }
    lock_release(&lock);
    if (r == 0)
        t->keys = keys;
    OPENSSL_cleanse(&keys, sizeof(keys));
    return r;
}

/* Takes over what is in the file unless it was read less than max_age seconds ago, and sees to it
 * that the first key is not too old. */
static void refresh(struct tickets *t, int64_t now, int64_t max_age)
{
    struct keys keys;
    int r;

    if (now - t->looked < max_age && !due(&t->keys, now))
        return;
    t->looked = now;
    r = load(t->path, &keys);
    if (r == 0)
        t->keys = keys;
    if (r == 0 && !due(&keys, now))
        return;
    r = rotate_shared(t, now);
    if (r == 0)
        return;
    if (!t->own)
        LOG(LOG_WARNING, TLS_TICKETS, LOG_STR(FILE, t->path), LOG_ERROR(r));
    t->own = true;
    if (due(&t->keys, now))
        rotate(&t->keys, now, t->lifetime);
}

void tickets_current(struct tickets *t, int64_t now, struct ticket_key *key_r)
{
    pthread_mutex_lock(&t->mutex);
    refresh(t, now, TICKET_CHECK_S);
    *key_r = t->keys.key[0];
    pthread_mutex_unlock(&t->mutex);
}

static int find(const struct tickets *t, int64_t now, const unsigned char *name, struct ticket_key *key_r)
{
    for (unsigned i = 0; i < t->keys.count; i++) {
        const struct ticket_key *k = &t->keys.key[i];

        if (memcmp(k->name, name, TICKET_NAME_SIZE) != 0)
            continue;
        if (now - k->created >= TICKET_ROTATE_S + t->lifetime)
            return 0;
        *key_r = *k;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

int tickets_find(struct tickets *t, int64_t now, const unsigned char name[TICKET_NAME_SIZE],
                 struct ticket_key *key_r)
{
    int r;

    pthread_mutex_lock(&t->mutex);
    refresh(t, now, TICKET_CHECK_S);
    r = find(t, now, name, key_r);
    if (r == 0) { /* another process may have rotated */
        refresh(t, now, 1);
        r = find(t, now, name, key_r);
    }
    pthread_mutex_unlock(&t->mutex);
    return r;
}
