/* Configuration files: cyrus.conf's parser, imapd.conf's; the first byte says which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "master/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void see_key(const char *place, const char *key)
{
    BUG_ON(place == NULL || key == NULL);
}

static void see_problem(enum config_problem problem, const char *name, const char *value, void *context)
{
    (void)problem;
    (void)context;
    BUG_ON(name == NULL || value == NULL);
}

static void read_cyrus_conf(const char *text, size_t n)
{
    struct conf *conf = NULL;
    char *error = NULL;

    if (conf_parse("cyrus.conf", text, n, see_key, &conf, &error) == 0) {
        for (int s = 0; s < CONF_SECTIONS; s++)
            for (const struct conf_entry *e = conf->sections[s]; e != NULL; e = e->next)
                BUG_ON(e->name == NULL || e->cmd == NULL || e->argv == NULL || e->argv[0] == NULL);
    } else {
        BUG_ON(error == NULL || conf != NULL);
    }
    conf_free(&conf);
    free(error);
}

/* Every option has a value whatever the file says. */
static void read_options(void)
{
    struct buf to = BUF_INIT;

    for (int o = 0; o < OPT_END; o++)
        BUG_ON(option_name((enum option)o) == NULL || (option_is_default((enum option)o), 0));
    config_problems(see_problem, NULL);
    config_host_overflow("be1.lab:2143", "password");
    config_role();
    config_path(&to, "%s", "x");
    buf_free(&to);
}

static bool has_word(const char *text, size_t n, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= n; i++)
        if (str_ieq_n(text + i, word, len))
            return true;
    return false;
}

/* Files that name files which are read or written at once are left out: they would be this machine's. */
static void read_imapd_conf(const char *text, size_t n)
{
    static const char head[] = "log_target: file:/dev/null\n";
    struct buf file = BUF_INIT;
    char *error = NULL;

    if (has_word(text, n, "@include") || has_word(text, n, "log_target"))
        return;
    if (path[0] == '\0') {
        strcpy(path, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz.XXXXXX" : "/tmp/fuzz.XXXXXX");
        close(mkstemp(path));
        atexit(remove_file);
    }
    buf_puts(&file, head);
    buf_append(&file, text, n);
    BUG_ON(file_replace(path, file.data, file.len, 0600) != 0);
    buf_free(&file);
    if (config_read(path, "imap", "fuzz", &error) == 0)
        read_options();
    else
        BUG_ON(error == NULL);
    free(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 2 == 0)
        read_cyrus_conf((const char *)data + 1, size - 1);
    else if (size > 0)
        read_imapd_conf((const char *)data + 1, size - 1);
    return 0;
}
