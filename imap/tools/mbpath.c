/* mbpath: where a mailbox's files are. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/mailbox.h"
#include "imap/tools/tool.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"

static const char program[] = "mbpath";

struct wish {
    const char *config;
    bool json, utf7, is_user;
};

/* ---- JSON ---- */

static json_t *string_or_null(const char *s)
{
    return s[0] != '\0' ? json_string(s) : json_null();
}

/* The components below the user's INBOX, or all of a shared name. */
static json_t *boxes(const char *name)
{
    const char *local = mboxname_local(name, NULL);
    json_t *array = json_array();
    struct pool *pool = pool_new(0);
    struct str_list parts = str_split(pool, local, ".");

    for (size_t i = mboxname_is_user(name) ? 2 : 0; i < parts.count; i++)
        json_array_append_new(array, json_string(parts.items[i]));
    pool_free(&pool);
    return array;
}

static json_t *mbname(struct mboxop_env *env, const char *name)
{
    struct buf userid = BUF_INIT;
    size_t domain_len, local_len;
    json_t *object = json_object(), *value;
    char *domain;

    mboxname_owner(env->config, name, &userid);
    mboxname_local(name, &domain_len);
    domain = strndup(name, domain_len);
    local_len = userid.len - (domain_len > 0 && userid.len > 0 ? domain_len + 1 : 0);
    value = userid.len > 0 ? json_stringn(userid.data, local_len) : json_null();
    json_object_set_new(object, "boxes", boxes(name));
    json_object_set_new(object, "intname", json_string(name));
    json_object_set_new(object, "localpart", value);
    json_object_set_new(object, "userid", string_or_null(buf_cstr(&userid)));
    json_object_set_new(object, "domain", string_or_null(domain));
    free(domain);
    buf_free(&userid);
    return object;
}

/* <sievedir>/<first letter>/<user>, as Cyrus has it; others than a to z are under q. */
static void sieve_path(const char *inbox, struct buf *path)
{
    const char *user = mboxname_local(inbox, NULL) + strlen("user.");
    char letter = str_lower_c(user[0]);

    if (letter < 'a' || letter > 'z')
        letter = 'q';
    buf_printf(path, "%s/", opt_string(OPT_SIEVEDIR));
    if (mboxname_local(inbox, NULL) != inbox)
        buf_printf(path, "domain/%.*s/", (int)strcspn(inbox, "!"), inbox);
    buf_printf(path, "%c/%s", letter, user);
}

static json_t *user_paths(struct mboxop_env *env, const char *name)
{
    struct buf userid = BUF_INIT, inbox = BUF_INIT, path = BUF_INIT;
    json_t *object = json_object();

    if (mboxname_owner(env->config, name, &userid) && mboxname_inbox(env->config, userid.data, &inbox) == 0) {
        config_path(&path, "seen");
        json_object_set_new(object, "seen", json_string(path.data));
        buf_reset(&path);
        config_path(&path, "mailboxes");
        json_object_set_new(object, "sub", json_string(path.data));
        buf_reset(&path);
        sieve_path(inbox.data, &path);
        json_object_set_new(object, "sieve", json_string(path.data));
    }
    buf_free(&userid);
    buf_free(&inbox);
    buf_free(&path);
    return object;
}

static void print_json(struct mboxop_env *env, const char *name, const char *directory)
{
    json_t *object = json_object();

    /* archive and metadata partitions are not in use: everything is in one place */
    json_object_set_new(object, "data", json_string(directory));
    json_object_set_new(object, "archive", json_string(directory));
    json_object_set_new(object, "meta", json_string(directory));
    json_object_set_new(object, "mbname", mbname(env, name));
    json_object_set_new(object, "user", user_paths(env, name));
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
}

/* ---- one argument ---- */

static int print_one(struct mboxop_env *env, const struct wish *wish, const char *given)
{
    struct pool *pool = pool_new(0);
    struct buf directory = BUF_INIT;
    struct mboxlist_record record;
    int r = wish->is_user ? tool_lookup_user(env, given, pool, &record)
                          : tool_lookup(env, given, wish->utf7, pool, &record);

    if (r == 0 && record.type != MBOXLIST_LOCAL) {
        fprintf(stderr, "%s: Mailbox is on %s\n", given, record.server);
    } else if (r == 0) {
        r = mailbox_dir(env->store, record.partition, record.id, &directory);
        if (r == 0 && wish->json)
            print_json(env, record.name, directory.data);
        else if (r == 0)
            puts(directory.data);
    }
    if (r != 0)
        fprintf(stderr, "%s: %s\n", given, r == ERR_NOTFOUND ? "Mailbox does not exist" : error_text(r));
    if (r == 0 && directory.len == 0)
        r = ERR_NOTFOUND;
    buf_free(&directory);
    pool_free(&pool);
    return r;
}

static int run(const struct wish *wish, char *const *names)
{
    struct mboxop_env env;
    int status = tool_open(program, false, &env);

    for (; status != EX_TEMPFAIL && status != EX_CONFIG && *names != NULL; names++)
        if (print_one(&env, wish, *names) != 0)
            status = EX_NOINPUT;
    tool_close(&env);
    return status;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-j] [-7] MAILBOX...\n       %s [-C imapd.conf] [-j] -u USER...\n",
            program, program);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct wish wish = {.config = NULL};
    int c, status;

    while ((c = getopt(argc, argv, "C:j7u")) != -1) {
        switch (c) {
        case 'C':
            wish.config = optarg;
            break;
        case 'j':
            wish.json = true;
            break;
        case '7':
            wish.utf7 = true;
            break;
        case 'u':
            wish.is_user = true;
            break;
        default:
            return usage();
        }
    }
    if (optind == argc)
        return usage();
    status = tool_start(program, wish.config);
    return status == 0 ? run(&wish, argv + optind) : status;
}
