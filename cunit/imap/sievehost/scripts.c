#include "imap/sievehost/scripts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/sievehost/place.h"
#include "cunit/unit.h"
#include "imap/sievehost/compiled.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/name/scriptdir.h"

static struct scripts *scripts_of(const char *userid)
{
    struct scripts *s = NULL;

    CU_ASSERT_EQUAL(scripts_open(name_config(), userid, &s), 0);
    return s;
}

static int put(struct scripts *s, const char *name, const char *text)
{
    struct buf errors = BUF_INIT;
    int r = scripts_put(s, name, text, strlen(text), &errors);

    buf_free(&errors);
    return r;
}

/* "a 5,b* 7": names, the active one marked, sizes. */
static int lists(struct scripts *s, const char *expected)
{
    struct pool *pool = pool_new(0);
    struct buf found = BUF_INIT;
    struct script_info *list;
    size_t count;
    int same = scripts_list(s, pool, &list, &count) == 0;

    for (size_t i = 0; i < count; i++)
        buf_printf(&found, "%s%s%s %d", i > 0 ? "," : "", list[i].name, list[i].active ? "*" : "",
                   (int)list[i].size);
    same = same && strcmp(buf_cstr(&found), expected) == 0;
    if (!same)
        printf("\nlist: %s\n", buf_cstr(&found));
    buf_free(&found);
    pool_free(&pool);
    return same;
}

static void test_directories(void)
{
    static const struct {
        const char *conf;
        struct name_config names;
        const char *userid, *path, *global;
        int r;
    } rows[] = {
        {"", {0}, "fred", "/sieve/f/fred", "/sieve/global", 0},
        {"", {0}, "Fred", "/sieve/f/Fred", "/sieve/global", 0},
        {"", {0}, "7up", "/sieve/q/7up", "/sieve/global", 0},
        {"", {0}, "john.doe", "/sieve/j/john^doe", "/sieve/global", 0},
        {"", {0}, "a/b", "", "", ERR_BADNAME},
        {"", {0}, "..", "/sieve/q/^^", "/sieve/global", 0},
        {"",
         {.virtdomains = VIRTDOMAINS_USERID},
         "fred@example.org",
         "/sieve/domain/e/example.org/f/fred",
         "/sieve/domain/e/example.org/global",
         0},
        {"",
         {.virtdomains = VIRTDOMAINS_USERID, .defaultdomain = "example.org"},
         "fred@example.org",
         "/sieve/f/fred",
         "/sieve/global",
         0},
        {"fulldirhash: yes\n", {0}, "fred", "/sieve/E/fred", "/sieve/global", 0},
        {"fulldirhash: yes\n", {0}, "a", "/sieve/F/a", "/sieve/global", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf path = BUF_INIT, global = BUF_INIT;

        place_new(rows[i].conf);
        CU_ASSERT_EQUAL(scriptdir_user(&rows[i].names, rows[i].userid, &path), rows[i].r);
        CU_ASSERT_EQUAL(scriptdir_global(&rows[i].names, rows[i].userid, &global), rows[i].r);
        if (rows[i].r == 0) {
            CU_ASSERT_STRING_EQUAL(buf_cstr(&path), place_path(rows[i].path + 1));
            CU_ASSERT_STRING_EQUAL(buf_cstr(&global), place_path(rows[i].global + 1));
        }
        buf_free(&path);
        buf_free(&global);
    }
}

static void test_life(void)
{
    struct scripts *s;
    struct buf text = BUF_INIT;
    struct stat st;

    place_new("");
    s = scripts_of("fred");
    CU_ASSERT(lists(s, ""));
    CU_ASSERT_EQUAL(scripts_get(s, "a", &text), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(scripts_activate(s, "a"), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(put(s, "b", "keep;"), 0);
    CU_ASSERT_EQUAL(put(s, "a", "stop;\r\n"), 0);
    CU_ASSERT(lists(s, "a 7,b 5"));
    CU_ASSERT_EQUAL(scripts_activate(s, "a"), 0);
    CU_ASSERT(place_has("sieve/f/fred/defaultbc", "a.bc"));
    CU_ASSERT(lists(s, "a* 7,b 5"));
    CU_ASSERT_EQUAL(scripts_delete(s, "a"), ERR_BUSY);
    CU_ASSERT_EQUAL(scripts_rename(s, "a", "b"), ERR_EXISTS);
    CU_ASSERT_EQUAL(scripts_rename(s, "c", "d"), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(scripts_rename(s, "a", "c"), 0);
    CU_ASSERT(lists(s, "b 5,c* 7"));
    CU_ASSERT_EQUAL(scripts_activate(s, "b"), 0);
    CU_ASSERT_EQUAL(scripts_delete(s, "c"), 0);
    CU_ASSERT_EQUAL(scripts_delete(s, "c"), ERR_NOTFOUND);
    CU_ASSERT(lists(s, "b* 5"));
    CU_ASSERT_EQUAL(put(s, "b", "discard;"), 0);
    CU_ASSERT(lists(s, "b* 8"));
    CU_ASSERT_EQUAL(scripts_get(s, "b", &text), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "discard;");
    CU_ASSERT_EQUAL(scripts_activate(s, ""), 0);
    CU_ASSERT_EQUAL(scripts_activate(s, ""), 0);
    CU_ASSERT(lists(s, "b 8"));
    CU_ASSERT(stat(place_path("sieve/f/fred"), &st) == 0 && (st.st_mode & 0777) == 0700);
    CU_ASSERT(stat(place_path("sieve/f/fred/b.script"), &st) == 0 && (st.st_mode & 0777) == 0600);
    buf_free(&text);
    scripts_close(&s);
}

static void test_names(void)
{
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {
        {"a", true},
        {"a b", true},
        {"\xc3\xa9t\xc3\xa9", true},
        {"a/b", true},
        {"../x", true},
        {".lock", true},
        {"", false},
        {"a\n", false},
        {"a\x7f", false},
        {"\xc2\x85", false},
        {"\xc2\xa0", true},
        {"\xe2\x80\xa8", false},
        {"\xe2\x80\xa9", false},
        {"\xe2\x80\xaa", true},
        {"\xff", false},
    };
    char longest[SCRIPTS_NAME_MAX + 2];
    struct scripts *s;

    place_new("sieve_maxscripts: 100\n");
    s = scripts_of("fred");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf text = BUF_INIT;

        CU_ASSERT_EQUAL(scripts_name_is_ok(rows[i].name), rows[i].ok);
        CU_ASSERT_EQUAL(put(s, rows[i].name, "keep;"), rows[i].ok ? 0 : ERR_BADNAME);
        CU_ASSERT_EQUAL(scripts_get(s, rows[i].name, &text), rows[i].ok ? 0 : ERR_BADNAME);
        buf_free(&text);
    }
    CU_ASSERT(lists(s, "../x 5,.lock 5,a 5,a b 5,a/b 5,\xc2\xa0 5,\xc3\xa9t\xc3\xa9 5,\xe2\x80\xaa 5"));
    memset(longest, 'x', sizeof(longest));
    longest[SCRIPTS_NAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(put(s, longest, "keep;"), ERR_BADNAME);
    longest[SCRIPTS_NAME_MAX] = '\0';
    CU_ASSERT_EQUAL(put(s, longest, "keep;"), 0);
    CU_ASSERT_EQUAL(scripts_activate(s, longest), 0);
    CU_ASSERT_EQUAL(scripts_rename(s, longest, "short"), 0);
    CU_ASSERT(place_has("sieve/f/fred/defaultbc", "short.bc"));
    CU_ASSERT_EQUAL(scripts_delete(s, "../x"), 0);
    CU_ASSERT(lists(s, ".lock 5,a 5,a b 5,a/b 5,short* 5,\xc2\xa0 5,\xc3\xa9t\xc3\xa9 5,\xe2\x80\xaa 5"));
    scripts_close(&s);
}

static void test_limits(void)
{
    struct buf errors = BUF_INIT;
    struct scripts *s;
    char big[2000];

    place_new("sieve_maxscripts: 2\nsieve_maxscriptsize: 1\nsieve_extensions: fileinto reject notify\n");
    s = scripts_of("fred");
    memset(big, '\n', sizeof(big));
    big[1024] = '\0';
    CU_ASSERT_EQUAL(put(s, "a", big), 0);
    big[1024] = '\n';
    big[1025] = '\0';
    CU_ASSERT_EQUAL(put(s, "a", big), ERR_TOOBIG);
    CU_ASSERT_EQUAL(scripts_have_space(s, "a", 1024), 0);
    CU_ASSERT_EQUAL(scripts_have_space(s, "a", 1025), ERR_TOOBIG);
    CU_ASSERT_EQUAL(put(s, "b", "keep;"), 0);
    CU_ASSERT_EQUAL(put(s, "c", "keep;"), ERR_LIMIT);
    CU_ASSERT_EQUAL(scripts_have_space(s, "c", 1), ERR_LIMIT);
    CU_ASSERT_EQUAL(scripts_have_space(s, "b", 1), 0);
    CU_ASSERT_EQUAL(put(s, "b", "discard;"), 0);
    CU_ASSERT_EQUAL(scripts_check("kep;", 4, &errors), ERR_SYNTAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&errors), "line 1:"));
    CU_ASSERT_EQUAL(put(s, "b", "kep;"), ERR_SYNTAX);
    CU_ASSERT(lists(s, "a 1024,b 8"));
    scripts_close(&s);
    buf_free(&errors);
}

/* What Cyrus has left, and what somebody else may have put there. */
static void test_found(void)
{
    struct scripts *s;

    place_new("");
    CU_ASSERT_EQUAL(file_make_dirs(place_path("sieve/f/fred"), 0700, 0), 0);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/f/fred/old.script"), "keep;", 5, 0600), 0);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/f/fred/old.bc"), "x", 1, 0600), 0);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/f/fred/.script"), "x", 1, 0600), 0);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/f/fred/.name-00.script"), "x", 1, 0600), 0);
    CU_ASSERT_EQUAL(mkdir(place_path("sieve/f/fred/dir.script"), 0700), 0);
    CU_ASSERT_EQUAL(symlink("/usr/sieve/f/fred/old.bc", place_path("sieve/f/fred/defaultbc")), 0);
    CU_ASSERT_EQUAL(symlink("gone", place_path("sieve/f/fred/defaultbc.new")), 0);
    s = scripts_of("fred");
    CU_ASSERT(lists(s, "old* 5"));
    CU_ASSERT_EQUAL(put(s, "old", "stop;"), 0);
    CU_ASSERT(place_has("sieve/f/fred/old.bc", NULL));
    CU_ASSERT_EQUAL(scripts_activate(s, "old"), 0);
    CU_ASSERT(place_has("sieve/f/fred/defaultbc", "old.bc"));
    scripts_close(&s);
}

static bool may(const char *extension)
{
    struct buf text = BUF_INIT, errors = BUF_INIT;
    int r;

    buf_printf(&text, "require \"%s\";", extension);
    r = scripts_check(buf_cstr(&text), text.len, &errors);
    buf_free(&text);
    buf_free(&errors);
    return r == 0;
}

static void test_language(void)
{
    static const char seconds[] = "require \"vacation-seconds\"; vacation :seconds 5 \"x\";";
    struct pool *pool = pool_new(0);
    const char *all;

    place_new("");
    all = scripts_extensions(pool);
    CU_ASSERT_PTR_NOT_NULL(strstr(all, "fileinto"));
    CU_ASSERT_PTR_NOT_NULL(strstr(all, "comparator-i;ascii-numeric"));
    CU_ASSERT_PTR_NOT_NULL(strstr(all, "imapsieve"));
    CU_ASSERT(may("regex") && may("encoded-character") && may("extlists") && !may("spamtest"));
    place_new("sieve_extensions: reject notify vacation-seconds\n");
    CU_ASSERT_STRING_EQUAL(
        scripts_extensions(pool),
        "comparator-i;ascii-numeric comparator-i;unicode-casemap comparator-i;octet "
        "comparator-i;ascii-casemap encoded-character enotify ereject reject vacation-seconds");
    CU_ASSERT(may("ereject") && may("enotify") && may("comparator-i;octet"));
    CU_ASSERT(!may("vacation") && !may("fileinto"));
    CU_ASSERT_EQUAL(scripts_check(seconds, strlen(seconds), &(struct buf)BUF_INIT), 0);
    pool_free(&pool);
}

static const char *active(const char *userid)
{
    static char requires[64];
    struct buf errors = BUF_INIT;
    struct compiled *c;
    int r = compiled_active(name_config(), userid, &errors, &c);

    snprintf(requires, sizeof(requires), "%s",
             r == ERR_NOTFOUND                                       ? "none"
             : r == ERR_SYNTAX                                       ? buf_cstr(&errors)
             : r < 0                                                 ? error_text(r)
             : sieve_script_requires(compiled_script(c), "fileinto") ? "fileinto"
             : sieve_script_requires(compiled_script(c), "vacation") ? "vacation"
                                                                     : "plain");
    compiled_release(&c);
    buf_free(&errors);
    return requires;
}

static void test_compiled(void)
{
    struct buf errors = BUF_INIT;
    struct compiled *kept;
    struct scripts *s;

    place_new("");
    CU_ASSERT_STRING_EQUAL(active("fred"), "none");
    s = scripts_of("fred");
    CU_ASSERT_EQUAL(put(s, "a", "require \"fileinto\";"), 0);
    CU_ASSERT_STRING_EQUAL(active("fred"), "none");
    CU_ASSERT_EQUAL(scripts_activate(s, "a"), 0);
    CU_ASSERT_STRING_EQUAL(active("fred"), "fileinto");
    CU_ASSERT_STRING_EQUAL(active("fred"), "fileinto");
    CU_ASSERT_EQUAL(compiled_active(name_config(), "fred", &errors, &kept), 0);
    CU_ASSERT_EQUAL(put(s, "a", "require \"vacation\";"), 0); /* of the same size */
    CU_ASSERT_STRING_EQUAL(active("fred"), "vacation");
    CU_ASSERT(sieve_script_requires(compiled_script(kept), "fileinto"));
    compiled_release(&kept);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/f/fred/a.script"), "x", 1, 0600), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(active("fred"), "line 1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(active("fred"), "line 1"));
    CU_ASSERT_EQUAL(compiled_named(name_config(), "fred", "b", false, &errors, &kept), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(compiled_named(name_config(), "fred", "../f/fred/a", false, &errors, &kept),
                    ERR_NOTFOUND);
    CU_ASSERT_EQUAL(file_make_dirs(place_path("sieve/global"), 0700, 0), 0);
    CU_ASSERT_EQUAL(file_replace(place_path("sieve/global/b.script"), "keep;", 5, 0600), 0);
    CU_ASSERT_EQUAL(compiled_named(name_config(), "fred", "b", true, &errors, &kept), 0);
    compiled_release(&kept);
    scripts_close(&s);
    buf_free(&errors);
    compiled_forget();
}

/* More scripts than are kept: each is what it is all the same. */
static void test_many(void)
{
    struct buf errors = BUF_INIT, path = BUF_INIT;

    place_new("");
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COMPILED_MAX + 10; i++) {
            struct compiled *c;
            const char *text = i % 2 > 0 ? "require \"fileinto\";" : "keep;";

            buf_reset(&path);
            buf_printf(&path, "%s/%d.script", place_path("conf"), i);
            if (round == 0)
                CU_ASSERT_EQUAL_FATAL(file_replace(buf_cstr(&path), text, strlen(text), 0600), 0);
            CU_ASSERT_EQUAL_FATAL(compiled_file(buf_cstr(&path), &errors, &c), 0);
            CU_ASSERT_EQUAL(sieve_script_requires(compiled_script(c), "fileinto"), i % 2 > 0);
            compiled_release(&c);
        }
    compiled_forget();
    buf_free(&errors);
    buf_free(&path);
}

static void test_autocreate(void)
{
    char conf[4200];
    struct scripts *s;

    place_new("");
    snprintf(conf, sizeof(conf), "autocreate_sieve_script: %s\n", place_path("first"));
    CU_ASSERT_EQUAL(scripts_autocreate(name_config(), "fred"), 0); /* nothing is asked for */
    place_new(conf);
    CU_ASSERT_EQUAL(scripts_autocreate(name_config(), "fred"), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(file_replace(place_path("first"), "keep;", 5, 0600), 0);
    CU_ASSERT_EQUAL(scripts_autocreate(name_config(), "fred"), 0);
    s = scripts_of("fred");
    CU_ASSERT(lists(s, "autocreated* 5"));
    CU_ASSERT_EQUAL(scripts_rename(s, "autocreated", "mine"), 0);
    CU_ASSERT_EQUAL(scripts_autocreate(name_config(), "fred"), 0);
    CU_ASSERT(lists(s, "mine* 5"));
    scripts_close(&s);
}

static void test_home(void)
{
    struct scripts *s;

    place_new("sieveusehomedir: yes\n");
    CU_ASSERT_EQUAL(scripts_open(name_config(), "fred", &s), ERR_UNSUPPORTED);
    CU_ASSERT_STRING_EQUAL(active("nobody-of-this-name"), "none");
    place_new("");
}

static const struct unit_case cases[] = {
    {"directories", test_directories},
    {"life", test_life},
    {"names", test_names},
    {"limits", test_limits},
    {"found", test_found},
    {"language", test_language},
    {"compiled", test_compiled},
    {"many", test_many},
    {"autocreate", test_autocreate},
    {"home", test_home},
    {NULL, NULL},
};

const struct unit_suite sievehost_scripts_suite = {"imap/sievehost/scripts", cases};
