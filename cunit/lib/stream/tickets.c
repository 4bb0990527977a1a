#include "lib/stream/tls-tickets.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/lib/stream/certs.h"
#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/digest.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/stream/stream-private.h"

enum { NOW = 1795293088, DAY = TICKET_ROTATE_S };

static const char *ticket_path(void)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/tls_tickets", certs()->dir);
    return path;
}

static void test_rotation(void)
{
    struct tickets *a, *b;
    struct ticket_key first, key, found;
    struct stat st;

    unlink(ticket_path());
    a = tickets_new(ticket_path(), DAY);
    b = tickets_new(ticket_path(), DAY);
    tickets_current(a, NOW, &first);
    CU_ASSERT_EQUAL(first.created, NOW);
    CU_ASSERT_EQUAL(stat(ticket_path(), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    tickets_current(b, NOW + 5, &key);
    CU_ASSERT(memcmp(&key, &first, sizeof(key)) == 0);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + 5, first.name, &found), 1);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + 5, (const unsigned char *)"0123456789abcdef", &found), 0);
    /* The next day a makes a new one; b finds it when it meets it. */
    tickets_current(b, NOW + DAY - 1, &key);
    CU_ASSERT(memcmp(&key, &first, sizeof(key)) == 0);
    tickets_current(a, NOW + DAY, &key);
    CU_ASSERT(memcmp(key.name, first.name, sizeof(key.name)) != 0);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + DAY, key.name, &found), 1);
    CU_ASSERT(memcmp(&key, &found, sizeof(key)) == 0);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + DAY, first.name, &found), 2);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + 2 * DAY - 1, first.name, &found), 2);
    CU_ASSERT_EQUAL(tickets_find(b, NOW + 2 * DAY, first.name, &found), 0);
    /* Many days: a bounded file. */
    for (int i = 2; i < 30; i++)
        tickets_current(a, NOW + i * (int64_t)DAY, &key);
    CU_ASSERT_EQUAL(stat(ticket_path(), &st), 0);
    CU_ASSERT_EQUAL(st.st_size, 16 + 2 * 88 + 4);
    tickets_free(&a);
    tickets_free(&b);
}

/* What others could have read, or what is damaged, is replaced. */
static void test_unusable_files(void)
{
    for (int i = 0; i < 5; i++) {
        struct tickets *t = tickets_new(ticket_path(), DAY);
        struct ticket_key before, after;
        struct stat st;

        unlink(ticket_path());
        tickets_current(t, NOW, &before);
        tickets_free(&t);
        if (i == 0)
            CU_ASSERT_EQUAL(chmod(ticket_path(), 0640), 0);
        if (i == 1)
            CU_ASSERT_EQUAL(truncate(ticket_path(), 50), 0);
        if (i == 2)
            CU_ASSERT_EQUAL(file_replace(ticket_path(), "nonsense", 8, 0600), 0);
        if (i == 3) { /* someone's link */
            unlink(ticket_path());
            CU_ASSERT_EQUAL(symlink(certs()->ca, ticket_path()), 0);
        }
        t = tickets_new(ticket_path(), DAY);
        tickets_current(t, NOW, &after);
        CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)) == 0, i == 4);
        CU_ASSERT_EQUAL(lstat(ticket_path(), &st), 0);
        CU_ASSERT(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
        tickets_free(&t);
    }
    /* No directory: the process has keys of its own. */
    struct tickets *t = tickets_new("/nonexistent/dir/tickets", DAY);
    struct ticket_key one, two;

    if (geteuid() == 0) { /* root could make it */
        tickets_free(&t);
        t = tickets_new("/proc/tickets", DAY);
    }
    tickets_current(t, NOW, &one);
    tickets_current(t, NOW + 100, &two);
    CU_ASSERT(memcmp(&one, &two, sizeof(one)) == 0);
    tickets_free(&t);
}

/* The format on disk is the documented one: doc/protocols/tls-tickets. */
static void test_golden(void)
{
    struct tickets *t = tickets_new(ticket_path(), DAY);
    struct ticket_key key;
    unsigned char body[16 + 88 + 4] = "IATLTKT\n\1\0\0\0\1\0\0\0";
    uint32_t crc;

    memcpy(body + 16, /* 1795293088 */ "\xa0\xff\x01\x6b\0\0\0\0", 8);
    memset(body + 24, 'n', 16);
    memset(body + 40, 'c', 32);
    memset(body + 72, 'm', 32);
    crc = digest_crc32c(body, 104);
    for (int i = 0; i < 4; i++)
        body[104 + i] = (unsigned char)(crc >> (8 * i));
    CU_ASSERT_EQUAL(file_replace(ticket_path(), body, sizeof(body), 0600), 0);
    CU_ASSERT_EQUAL(tickets_find(t, NOW + 10, (const unsigned char *)"nnnnnnnnnnnnnnnn", &key), 1);
    CU_ASSERT_EQUAL(key.created, NOW);
    CU_ASSERT(key.cipher[0] == 'c' && key.cipher[31] == 'c' && key.mac[0] == 'm' && key.mac[31] == 'm');
    tickets_free(&t);
}

/* Several processes at once make one key. */
static void test_processes(void)
{
    enum { PROCESSES = 6 };
    struct ticket_key key[PROCESSES];
    int out[2];

    unlink(ticket_path());
    CU_ASSERT_EQUAL_FATAL(pipe(out), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() == 0) {
            struct tickets *t = tickets_new(ticket_path(), DAY);

            tickets_current(t, NOW, &key[0]);
            _exit(write(out[1], &key[0], sizeof(key[0])) == sizeof(key[0]) ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        CU_ASSERT_EQUAL(read(out[0], &key[i], sizeof(key[i])), sizeof(key[i]));
        CU_ASSERT(wait(&status) > 0 && status == 0);
        CU_ASSERT(memcmp(&key[i], &key[0], sizeof(key[0])) == 0);
    }
    close(out[0]);
    close(out[1]);
}

/* A session begun with one process is resumed by another. */
static void test_resumption(void)
{
    static const char *const versions[] = {"tls1_2", "tls1_3"};

    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct tls_config sc = {.cert = certs()->server, .ticket_file = ticket_path(), .ticket_ms = 3600000};
        struct tls_config cc = {.ca_file = certs()->ca, .versions = versions[i]};
        struct tls_context *client = NULL, *server[3] = {NULL, NULL, NULL};
        SSL_SESSION *session = NULL;

        unlink(ticket_path());
        CU_ASSERT_EQUAL_FATAL(tls_context_new(&cc, false, &client, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(tls_context_new(&sc, true, &server[0], NULL), 0);
        CU_ASSERT_EQUAL_FATAL(tls_context_new(&sc, true, &server[1], NULL), 0);
        sc.ticket_ms = 0;
        CU_ASSERT_EQUAL_FATAL(tls_context_new(&sc, true, &server[2], NULL), 0);
        for (int k = 0; k < 3; k++) {
            struct link l;
            int c = 1, s = 1;

            link_open(&l, 0);
            stream_tls_begin(l.client, client, false, "be1.lab");
            stream_tls_begin(l.server, server[k], true, NULL);
            if (session != NULL)
                SSL_set_session(stream_ssl(l.client), session);
            for (int n = 0; n < 10 && (c != 0 || s != 0); n++) {
                c = stream_handshake(l.client);
                s = stream_handshake(l.server);
                link_round(&l);
            }
            CU_ASSERT(c == 0 && s == 0);
            CU_ASSERT_EQUAL(stream_tls_resumed(l.server), k == 1);
            stream_puts(l.server, "x");
            link_settle(&l); /* TLS 1.3: the ticket comes before it */
            if (k == 0)
                session = SSL_get1_session(stream_ssl(l.client));
            link_close(&l);
        }
        SSL_SESSION_free(session);
        tls_context_free(&client);
        for (int k = 0; k < 3; k++)
            tls_context_free(&server[k]);
    }
}

static const struct unit_case cases[] = {
    {"rotation", test_rotation},   {"unusable files", test_unusable_files}, {"golden file", test_golden},
    {"processes", test_processes}, {"resumption", test_resumption},         {NULL, NULL},
};

extern const struct unit_suite tickets_suite;
const struct unit_suite tickets_suite = {"tickets", cases};
