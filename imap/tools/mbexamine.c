/* mbexamine: prints a mailbox's index as it stands in the file: both header copies, flag names, records.
 * Takes no lock, changes nothing, and looks at damaged files too. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/codec.h"
#include "imap/store/mailbox.h"
#include "imap/tools/tool.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"

struct arguments {
    const char *config;
    uint32_t uid; /* 0: all */
    bool quiet;   /* header only */
};

static void usage(void)
{
    fprintf(stderr, "usage: mbexamine [-C config] [-q] [-u uid] mailbox|index-file...\n"
                    "  -q  the header only\n"
                    "  -u  the record of that UID only\n");
    exit(64);
}

static void print_fields(const struct layout_field *fields, const void *of, const char *indent)
{
    struct buf text = BUF_INIT;

    for (; fields->name != NULL; fields++) {
        buf_reset(&text);
        layout_format(fields, of, &text);
        if (strstr(fields->name, "reserved") == NULL)
            printf("%s%-20s %s\n", indent, fields->name, buf_cstr(&text));
    }
    buf_free(&text);
}

/* Prints a copy; its result. */
static int print_header(const unsigned char *raw, char which, struct mailbox_header *header)
{
    int r = header_decode(raw, header);

    printf("header %c: %s\n", which, r == 0 ? "whole" : error_text(r));
    if (r == 0)
        print_fields(layout_header, header, "  ");
    return r;
}

static void print_flag_names(int fd, const struct mailbox_header *header)
{
    unsigned char raw[INDEX_FLAG_NAME_SIZE];
    char name[USER_FLAG_NAME_MAX + 1];

    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        if (!((header->flag_slots[n / 8] >> (n % 8)) & 1))
            continue;
        if (file_pread(fd, raw, sizeof(raw), INDEX_FLAG_NAMES_AT + (int64_t)n * INDEX_FLAG_NAME_SIZE) < 0 ||
            flag_name_decode(raw, name) < 0)
            printf("flag %u: damaged\n", n);
        else
            printf("flag %u: %s\n", n, name);
    }
}

static void print_system(uint32_t system)
{
    static const char *const names[32] = {
#define FLAG(bit, name, text) [bit] = #name,
#include "imap/store/record-flags.def"
#undef FLAG
    };

    printf("  flags               ");
    for (unsigned bit = 0; bit < 32; bit++) {
        if ((system >> bit) & 1)
            printf(" %s", names[bit] != NULL ? names[bit] : "?");
    }
    printf("\n");
}

/* 1: damaged records. */
static int print_records(int fd, const struct mailbox_header *header, const struct arguments *args)
{
    int bad = 0;

    for (uint32_t n = 0; n < header->records; n++) {
        unsigned char raw[INDEX_RECORD_SIZE];
        struct mailbox_record record;
        int r = file_pread(fd, raw, sizeof(raw), INDEX_RECORDS_AT + (int64_t)n * INDEX_RECORD_SIZE);

        if (r < 0) {
            printf("record %" PRIu32 ": %s\n", n, error_text(r));
            return 1;
        }
        r = record_decode(raw, &record);
        bad |= r < 0;
        if (args->uid != 0 && record.uid != args->uid)
            continue;
        printf("record %" PRIu32 ": %s\n", n,
               r == 0                       ? "whole"
               : record_fixed_is_whole(raw) ? "damaged behind its fixed part"
                                            : "damaged");
        print_fields(layout_record, &record, "  ");
        print_system(record.system);
    }
    return bad;
}

static int examine(const char *path, const struct arguments *args)
{
    unsigned char raw[INDEX_HEADERS_SIZE];
    struct mailbox_header a, b;
    int fd = open(path, O_RDONLY | O_CLOEXEC), bad_a, bad_b, bad = 1;
    const struct mailbox_header *newest;

    if (fd < 0 || file_pread(fd, raw, sizeof(raw), 0) < 0) {
        fprintf(stderr, "mbexamine: %s: cannot be read, or is no index\n", path);
        if (fd >= 0)
            close(fd);
        return 1;
    }
    printf("%s\n", path);
    bad_a = print_header(raw, 'A', &a);
    bad_b = print_header(raw + INDEX_HEADER_B, 'B', &b);
    if (bad_a == 0 || bad_b == 0) {
        newest = bad_b < 0 || (bad_a == 0 && a.generation > b.generation) ? &a : &b;
        print_flag_names(fd, newest);
        bad = bad_a < 0 || bad_b < 0;
        if (!args->quiet)
            bad |= print_records(fd, newest, args);
    }
    close(fd);
    return bad;
}

/* The index of a mailbox by name, appended. */
static int find_index(const char *name, struct buf *path)
{
    struct mboxop_env env = {.config = name_config()};
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    const char *root = NULL;
    int r = mboxlist_open(NULL, &env.list, NULL);

    if (r == 0) {
        r = tool_lookup(&env, name, false, pool, &record);
        if (r == 0)
            root = config_partition(record.partition);
        if (r == 0)
            r = root != NULL ? mailbox_metadata_dir_under(root, config_metapartition(record.partition),
                                                          record.id, path)
                             : ERR_NOTFOUND;
        buf_puts(path, "/index");
        mboxlist_close(&env.list);
    }
    pool_free(&pool);
    return r;
}

static int examine_name(const char *name, const struct arguments *args)
{
    struct buf path = BUF_INIT;
    int r = find_index(name, &path);

    if (r < 0)
        fprintf(stderr, "mbexamine: %s: %s\n", name, error_text(r));
    else
        r = examine(buf_cstr(&path), args);
    buf_free(&path);
    return r != 0;
}

static bool is_path(const char *argument)
{
    return argument[0] == '/' || strncmp(argument, "./", 2) == 0 || strncmp(argument, "../", 3) == 0;
}

/* Names of mailboxes need the configuration, paths do not. */
static void read_config(const struct arguments *args, char **names)
{
    int exit_code;

    while (*names != NULL && is_path(*names))
        names++;
    if (*names == NULL)
        return;
    exit_code = tool_start("mbexamine", args->config);
    if (exit_code != 0)
        exit(exit_code);
}

int main(int argc, char **argv)
{
    struct arguments args = {.config = NULL};
    int c, bad = 0;

    while ((c = getopt(argc, argv, "C:qu:")) != -1) {
        switch (c) {
        case 'C':
            args.config = optarg;
            break;
        case 'q':
            args.quiet = true;
            break;
        case 'u':
            if (str_parse_u32(optarg, strlen(optarg), &args.uid) < 0)
                usage();
            break;
        default:
            usage();
        }
    }
    if (optind == argc)
        usage();
    read_config(&args, argv + optind);
    for (int i = optind; i < argc; i++)
        bad |= is_path(argv[i]) ? examine(argv[i], &args) : examine_name(argv[i], &args);
    return bad;
}
