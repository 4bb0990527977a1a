/* The tools as programs, on a server in a directory of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "imap/mboxop/mboxop.h"
#include "imap/store/mailbox.h"
#include "imap/store/store.h"
#include "lib/base/config.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"

static char dir[64], conf[80];
static char id[MAILBOX_ID_SIZE]; /* of user.john^doe.x */

static void remove_dir(void)
{
    file_remove_tree(dir);
}

static void make_config(void)
{
    struct buf text = BUF_INIT;
    char *error = NULL;

    strcpy(dir, "/tmp/tools.XXXXXX");
    BUG_ON(mkdtemp(dir) == NULL);
    atexit(remove_dir);
    snprintf(conf, sizeof(conf), "%s/imapd.conf", dir);
    buf_printf(&text,
               "configdirectory: %s/conf\npartition-default: %s/spool\ndb_map_size: 16M\n"
               "sievedir: %s/sieve\nservername: be1\nlog_target: file:%s/log\ncyrus_user: root\n",
               dir, dir, dir, dir);
    BUG_ON(file_replace(conf, text.data, text.len, 0600) != 0);
    BUG_ON(config_read(conf, NULL, "test", &error) != 0);
    buf_truncate(&text, 0);
    buf_printf(&text, "%s/conf", dir);
    BUG_ON(mkdir(text.data, 0700) != 0);
    buf_free(&text);
}

/* Mailboxes, and one that is half made. */
static void make_mailboxes(void)
{
    static const char *const names[] = {"user.john^doe", "user.john^doe.x", "user.john^doe.&AOk-", "archive"};
    struct mboxop_env env = {.config = name_config(), .server = "be1"};
    struct store_options options;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mboxop *op;

    store_options_configured(&options);
    BUG_ON(mboxlist_open(NULL, &env.list, NULL) != 0 || store_open(&options, &env.store, NULL) != 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        op = mboxop_create(&env, names[i], NULL, NULL, NULL, 0, NULL);
        CU_ASSERT_EQUAL_FATAL(mboxop_run(&op, NULL), 0);
    }
    op = mboxop_create(&env, "user.john^doe.half", NULL, NULL, "half-made", 0, NULL);
    for (int i = 0; i < 6; i++)
        mboxop_step(op);
    mboxop_free(&op);
    CU_ASSERT_EQUAL_FATAL(mboxlist_lookup(env.list, "user.john^doe.x", pool, &record), 0);
    strcpy(id, record.id);
    pool_free(&pool);
    store_close(&env.store);
    mboxlist_close(&env.list);
}

static void set_up(void)
{
    if (dir[0] == '\0') {
        make_config();
        make_mailboxes();
    }
}

/* Runs a tool; what it says on both streams, appended.  Its exit status. */
static int run(const char *tool, const char *arguments, struct buf *said)
{
    char *command = xstrprintf("imap/tools/%s -C %s %s 2>&1", tool, conf, arguments);
    char piece[512];
    size_t n;
    FILE *f = popen(command, "r");
    int status;

    BUG_ON(f == NULL);
    buf_reset(said);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_append(said, piece, n);
    status = pclose(f);
    free(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void test_mbpath(void)
{
    static const char *const same[] = {"user/john.doe/x", "user.john^doe.x", "-7 user/john.doe/x"};
    struct buf said = BUF_INIT;

    set_up();
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        CU_ASSERT_EQUAL(run("mbpath", same[i], &said), 0);
        CU_ASSERT(said.len > 1 && said.data[said.len - 1] == '\n');
        buf_truncate(&said, said.len - 1);
        CU_ASSERT(is_dir(said.data));
        CU_ASSERT_STRING_EQUAL(strrchr(said.data, '/') + 1, id);
    }
    CU_ASSERT_EQUAL(run("mbpath", "user/john.doe/\xc3\xa9 -7 'user/john.doe/&AOk-'", &said), 66);
    CU_ASSERT_EQUAL(run("mbpath", "-7 'user/john.doe/&AOk-'", &said), 0);
    CU_ASSERT_EQUAL(run("mbpath", "user/john.doe/\xc3\xa9", &said), 0);
    CU_ASSERT_EQUAL(run("mbpath", "-u john.doe", &said), 0);
    CU_ASSERT_EQUAL(run("mbpath", "-u nobody", &said), 66);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "nobody: Mailbox does not exist\n");
    CU_ASSERT_EQUAL(run("mbpath", "'a*b' archive", &said), 66);
    CU_ASSERT_EQUAL(run("mbpath", "", &said), 64);
    buf_free(&said);
}

/* What a tool said in JSON, without white space. */
static void run_json(const char *tool, const char *arguments, struct buf *said)
{
    size_t kept = 0;

    CU_ASSERT_EQUAL(run(tool, arguments, said), 0);
    for (size_t i = 0; i < said->len; i++)
        if (strchr(" \n", said->data[i]) == NULL)
            said->data[kept++] = said->data[i];
    buf_truncate(said, kept);
}

static void test_mbpath_json(void)
{
    struct buf said = BUF_INIT;

    set_up();
    run_json("mbpath", "-j user/john.doe/x", &said);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&said),
                                  "\"mbname\":{\"boxes\":[\"x\"],\"intname\":\"user.john^doe.x\","
                                  "\"localpart\":\"john.doe\",\"userid\":\"john.doe\"}"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said.data, "{\"data\":\"/tmp/"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said.data, "/sieve/j/john^doe\"}}"));
    run_json("mbpath", "-j archive", &said);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(buf_cstr(&said), "\"mbname\":{\"boxes\":[\"archive\"],\"intname\":\"archive\"}}"));
    buf_free(&said);
}

static void test_mbpath_options(void)
{
    static const struct {
        const char *arguments;
        int exit;
        const char *says; /* "*": the mailbox's directory, a line each */
    } rows[] = {
        {"-q nobody user/john.doe/x", 66, "*"},
        {"-s -q nobody user/john.doe/x", 66, ""},
        {"-DMA user/john.doe/x", 0, "***"},
        {"-l -m user/john.doe/x", 0, "*"},
        {"-S user/john.doe/x", 0, "/sieve/j/john^doe\n"},
        {"-S archive", 0, ""},
        {"-U user/john.doe/x", 0, "/conf/seen\n"},
        {"-u -p x", 64, "usage"},
        {"-Z x", 64, ""},
        {"-q -p /tmp /dev/null /", 66, ""},
    };
    struct buf said = BUF_INIT, directory = BUF_INIT, arguments = BUF_INIT;

    set_up();
    CU_ASSERT_EQUAL(run("mbpath", "user/john.doe/x", &directory), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(run("mbpath", rows[i].arguments, &said), rows[i].exit);
        if (rows[i].says[0] != '*')
            CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&said), rows[i].says));
        if (rows[i].says[0] == '\0' && rows[i].exit != 64)
            CU_ASSERT_EQUAL(said.len, 0);
        if (rows[i].says[0] == '*')
            CU_ASSERT_EQUAL(said.len, strlen(rows[i].says) * directory.len);
    }
    buf_truncate(&directory, directory.len - 1);
    buf_printf(&arguments, "-a -p %s", buf_cstr(&directory));
    CU_ASSERT_EQUAL(run("mbpath", buf_cstr(&arguments), &said), 0);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&said), "Archive: /tmp/", 14), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&said), "\nData: /tmp/"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&said), "\nUser: /tmp/"));
    buf_free(&said);
    buf_free(&directory);
    buf_free(&arguments);
}

static void test_ctl_cyrusdb(void)
{
    struct buf said = BUF_INIT, half = BUF_INIT;
    struct store_options options;
    struct store *store;

    set_up();
    store_options_configured(&options);
    CU_ASSERT_EQUAL_FATAL(store_open(&options, &store, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_dir(store, "default", "half-made", &half), 0);
    store_close(&store);
    CU_ASSERT(is_dir(half.data));
    CU_ASSERT_EQUAL(run("ctl_cyrusdb", "-r", &said), 0);
    CU_ASSERT_EQUAL(said.len, 0);
    CU_ASSERT(!is_dir(half.data));
    CU_ASSERT_EQUAL(run("ctl_cyrusdb", "-c", &said), 0);
    CU_ASSERT_EQUAL(said.len, 0);
    CU_ASSERT_EQUAL(run("ctl_cyrusdb", "", &said), 64);
    CU_ASSERT_EQUAL(run("ctl_cyrusdb", "-q", &said), 64);
    buf_free(&said);
    buf_free(&half);
}

static const struct unit_case cases[] = {
    {"mbpath", test_mbpath},
    {"mbpath -j", test_mbpath_json},
    {"mbpath, options", test_mbpath_options},
    {"ctl_cyrusdb", test_ctl_cyrusdb},
    {NULL, NULL},
};

extern const struct unit_suite tools_suite;
const struct unit_suite tools_suite = {"tools", cases};
