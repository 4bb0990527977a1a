/* cyr_info: what the server does now (proc), and what its configuration says (conf...). */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "imap/login/proc.h"
#include "imap/tools/tool.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

static const char program[] = "cyr_info";

enum { PROC_FILE_MAX = 64 * 1024 * 1024 };

/* ---- proc ---- */

/* SERVICE TAB HOST TAB USER TAB MAILBOX TAB COMMAND LF; what is empty in the middle is shown as "-". */
static void print_session(long pid, const char *record)
{
    const char *end = memchr(record, '\n', PROC_RECORD);
    size_t len = end != NULL ? (size_t)(end - record) : PROC_RECORD;

    while (len > 0 && record[len - 1] == '\t')
        len--;
    printf("%ld ", pid);
    for (size_t i = 0; i < len; i++) {
        if (record[i] != '\t')
            putchar(record[i]);
        else
            fputs(i > 0 && record[i - 1] == '\t' ? "- " : " ", stdout);
    }
    putchar('\n');
}

static void print_process(const char *dir, const char *name, long pid)
{
    struct buf path = BUF_INIT, records = BUF_INIT;

    buf_printf(&path, "%s/%s", dir, name);
    if (file_read_all(buf_cstr(&path), PROC_FILE_MAX, &records) == 0)
        for (size_t at = 0; at + PROC_RECORD <= records.len; at += PROC_RECORD)
            if (records.data[at] != '\0')
                print_session(pid, records.data + at);
    buf_free(&path);
    buf_free(&records);
}

static int by_pid(const void *a, const void *b)
{
    long x = strtol(*(char *const *)a, NULL, 10), y = strtol(*(char *const *)b, NULL, 10);

    return x != y ? (x < y ? -1 : 1) : strcmp(*(char *const *)a, *(char *const *)b);
}

/* The file names, sorted by process; the caller frees them. */
static size_t list_processes(DIR *d, char ***names_r)
{
    char **names = NULL;
    size_t count = 0;
    struct dirent *e;

    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        names = xreallocarray(names, count + 1, sizeof(*names));
        names[count++] = xstrdup(e->d_name);
    }
    if (count > 0)
        qsort(names, count, sizeof(*names), by_pid);
    *names_r = names;
    return count;
}

static int show_proc(void)
{
    const char *dir = opt_string(OPT_PROC_PATH);
    DIR *d = opendir(dir);
    char **names;
    size_t count;

    if (d == NULL && errno == ENOENT)
        return 0; /* nothing has run yet */
    if (d == NULL) {
        fprintf(stderr, "%s: %s: %s\n", program, dir, strerror(errno));
        return EX_IOERR;
    }
    count = list_processes(d, &names);
    closedir(d);
    for (size_t i = 0; i < count; i++) {
        long pid = strtol(names[i], NULL, 10);

        /* the file of one that was killed stays until its number comes again */
        if (kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            print_process(dir, names[i], pid);
        free(names[i]);
    }
    free(names);
    return 0;
}

/* ---- conf ---- */

static void print_option(enum option o, const char *value)
{
    printf("%s: %s\n", option_name(o), value != NULL ? value : "");
}

/* Lines that are no option of the table under their own name: partitions, <service>_NAME, passwords. */
static void print_other(const char *name, const char *value, void *context)
{
    (void)context;
    if (option_find(name) == OPT_END)
        printf("%s: %s\n", name, value);
}

static int show_conf(void)
{
    for (enum option o = 0; o < OPT_END; o++)
        if (!option_is_default(o))
            print_option(o, option_text(o));
    config_overflow_each("", print_other, NULL);
    return 0;
}

static int show_all(void)
{
    for (enum option o = 0; o < OPT_END; o++)
        print_option(o, option_text(o));
    config_overflow_each("", print_other, NULL);
    return 0;
}

static int show_defaults(void)
{
    for (enum option o = 0; o < OPT_END; o++)
        print_option(o, option_default(o));
    return 0;
}

static void print_unknown(enum config_problem problem, const char *name, const char *value, void *context)
{
    (void)context;
    if (problem == CONFIG_UNKNOWN)
        printf("%s: %s\n", name, value);
}

static int show_lint(void)
{
    config_problems(print_unknown, NULL);
    return 0;
}

/* ---- */

static int show_version(void)
{
    puts(PACKAGE_STRING);
    return 0;
}

static const struct {
    const char *name;
    int (*show)(void);
} actions[] = {
    {"proc", show_proc},      {"conf", show_conf},
    {"conf-all", show_all},   {"conf-default", show_defaults},
    {"conf-lint", show_lint}, {"version", show_version},
};

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-M cyrus.conf] [-n service] "
            "proc|conf|conf-all|conf-default|conf-lint|version\n",
            program);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    const char *path = NULL, *service = NULL;
    int c, status;

    while ((c = getopt(argc, argv, "C:M:n:s:")) != -1) {
        if (c == 'C')
            path = optarg;
        else if (c == 'n')
            service = optarg;
        else if (c != 'M' && c != 's') /* services are known by their form; there is no older version */
            return usage();
    }
    if (optind + 1 != argc)
        return usage();
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i].name, argv[optind]) == 0) {
            status = tool_start_as(program, path, service);
            return status == 0 ? actions[i].show() : status;
        }
    }
    return usage();
}
