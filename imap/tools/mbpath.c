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
#include "lib/name/scriptdir.h"

static const char program[] = "mbpath";

struct wish {
    const char *config;
    char what[6]; /* of "ADMSU"; none: D */
    bool json, utf7, is_user, is_path, all, quiet, stop;
};

/* ---- JSON ---- */

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

/* What a name does not have has no key. */
static void put(json_t *object, const char *key, const char *value, size_t len)
{
    if (len > 0)
        json_object_set_new(object, key, json_stringn(value, len));
}

static json_t *mbname(struct mboxop_env *env, const char *name)
{
    struct buf userid = BUF_INIT;
    size_t domain_len, local_len;
    json_t *object = json_object();

    mboxname_owner(env->config, name, &userid);
    mboxname_local(name, &domain_len);
    local_len = userid.len - (domain_len > 0 && userid.len > 0 ? domain_len + 1 : 0);
    json_object_set_new(object, "boxes", boxes(name));
    json_object_set_new(object, "intname", json_string(name));
    put(object, "localpart", buf_cstr(&userid), local_len);
    put(object, "userid", buf_cstr(&userid), userid.len);
    put(object, "domain", name, domain_len);
    buf_free(&userid);
    return object;
}

static void sieve_path(struct mboxop_env *env, const char *name, struct buf *path)
{
    struct buf userid = BUF_INIT;

    if (mboxname_owner(env->config, name, &userid))
        scriptdir_user(env->config, buf_cstr(&userid), path);
    buf_free(&userid);
}

static bool inbox_of(struct mboxop_env *env, const char *name, struct buf *inbox)
{
    struct buf userid = BUF_INIT;
    bool has =
        mboxname_owner(env->config, name, &userid) && mboxname_inbox(env->config, userid.data, inbox) == 0;

    buf_free(&userid);
    return has;
}

static json_t *user_paths(struct mboxop_env *env, const char *inbox)
{
    struct buf path = BUF_INIT;
    json_t *object = json_object();

    config_path(&path, "seen");
    json_object_set_new(object, "seen", json_string(path.data));
    buf_reset(&path);
    config_path(&path, "mailboxes");
    json_object_set_new(object, "sub", json_string(path.data));
    buf_reset(&path);
    sieve_path(env, inbox, &path);
    json_object_set_new(object, "sieve", json_string(path.data));
    buf_free(&path);
    return object;
}

static void print_json(struct mboxop_env *env, const char *name, const char *directory, const char *metadata)
{
    json_t *object = json_object();
    struct buf inbox = BUF_INIT;

    /* archive partitions are not in use */
    json_object_set_new(object, "data", json_string(directory));
    json_object_set_new(object, "archive", json_string(directory));
    json_object_set_new(object, "meta", json_string(metadata));
    json_object_set_new(object, "mbname", mbname(env, name));
    if (inbox_of(env, name, &inbox))
        json_object_set_new(object, "user", user_paths(env, buf_cstr(&inbox)));
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
    buf_free(&inbox);
}

/* ---- lines ---- */

static bool is_selected(const struct wish *wish, char selector)
{
    return wish->all || strchr(wish->what, selector) != NULL;
}

static void print_path(const struct wish *wish, const char *label, const char *path)
{
    if (wish->all)
        printf("%s: ", label);
    puts(path);
}

static void print_lines(struct mboxop_env *env, const struct wish *wish, const char *name,
                        const char *directory, const char *metadata)
{
    struct buf inbox = BUF_INIT, path = BUF_INIT;

    if (is_selected(wish, 'A'))
        print_path(wish, "Archive", directory);
    if (is_selected(wish, 'D') || (!wish->all && wish->what[0] == '\0'))
        print_path(wish, "Data", directory);
    if (is_selected(wish, 'M'))
        print_path(wish, "Meta", metadata);
    if (inbox_of(env, name, &inbox)) {
        sieve_path(env, buf_cstr(&inbox), &path);
        if (is_selected(wish, 'S'))
            print_path(wish, "Sieve", buf_cstr(&path));
        buf_reset(&path);
        config_path(&path, "seen");
        if (is_selected(wish, 'U'))
            print_path(wish, "User", buf_cstr(&path));
    }
    buf_free(&inbox);
    buf_free(&path);
}

/* ---- one argument ---- */

static int lookup(struct mboxop_env *env, const struct wish *wish, const char *given, struct pool *pool,
                  struct mboxlist_record *record_r)
{
    if (wish->is_path)
        return tool_lookup_path(env, given, pool, record_r);
    return wish->is_user ? tool_lookup_user(env, given, pool, record_r)
                         : tool_lookup(env, given, wish->utf7, pool, record_r);
}

static int print_one(struct mboxop_env *env, const struct wish *wish, const char *given)
{
    struct pool *pool = pool_new(0);
    struct buf directory = BUF_INIT, metadata = BUF_INIT;
    struct mboxlist_record record;
    int r = lookup(env, wish, given, pool, &record);

    if (r == 0 && record.type != MBOXLIST_LOCAL) {
        if (!wish->quiet)
            fprintf(stderr, "%s: Mailbox is on %s\n", given, record.server);
        r = ERR_NOTFOUND;
    } else {
        if (r == 0)
            r = mailbox_dir(env->store, record.partition, record.id, &directory);
        if (r == 0)
            r = mailbox_metadata_dir(env->store, record.partition, record.id, &metadata);
        if (r == 0 && wish->json)
            print_json(env, record.name, directory.data, metadata.data);
        else if (r == 0)
            print_lines(env, wish, record.name, directory.data, metadata.data);
        else if (!wish->quiet)
            fprintf(stderr, "%s: %s\n", given, r == ERR_NOTFOUND ? "Mailbox does not exist" : error_text(r));
    }
    buf_free(&directory);
    buf_free(&metadata);
    pool_free(&pool);
    return r;
}

static int run(const struct wish *wish, char *const *names)
{
    struct mboxop_env env;
    int status = tool_open(program, false, &env);
    bool opened = status == 0;

    for (; opened && *names != NULL && (status == 0 || !wish->stop); names++)
        if (print_one(&env, wish, *names) != 0)
            status = EX_NOINPUT;
    tool_close(&env);
    return status;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-j | -a | -ADMSU] [-7] [-l] [-q] [-s] mailbox...\n"
            "       %s [-C imapd.conf] [-j | -a | -ADMSU] [-l] [-q] [-s] -u user...\n"
            "       %s [-C imapd.conf] [-j | -a | -ADMSU] [-l] [-q] [-s] -p path...\n",
            program, program, program);
    return EX_USAGE;
}

/* -m is an older name of -M. */
static void select_path(struct wish *wish, char selector)
{
    size_t n = strlen(wish->what);

    if (selector == 'm')
        selector = 'M';
    if (strchr(wish->what, selector) == NULL)
        wish->what[n] = selector;
}

int main(int argc, char **argv)
{
    struct wish wish = {.config = NULL};
    int c, status;

    while ((c = getopt(argc, argv, "C:j7upaqslmADMSU")) != -1) {
        if (c == 'C')
            wish.config = optarg;
        else if (c == 'j')
            wish.json = true;
        else if (c == '7')
            wish.utf7 = true;
        else if (c == 'u')
            wish.is_user = true;
        else if (c == 'p')
            wish.is_path = true;
        else if (c == 'a')
            wish.all = true;
        else if (c == 'q')
            wish.quiet = true;
        else if (c == 's')
            wish.stop = true;
        else if (c == '?')
            return usage();
        else if (c != 'l') /* what is elsewhere is an error in any case */
            select_path(&wish, (char)c);
    }
    if (optind == argc || (wish.is_user && wish.is_path))
        return usage();
    status = tool_start(program, wish.config);
    return status == 0 ? run(&wish, argv + optind) : status;
}
