/* unexpunge: lists and brings back messages that were expunged and that cyr_expire has not removed yet. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/message.h"
#include "imap/store/unexpunge.h"
#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"

static const char program[] = "unexpunge";

struct request {
    const char *config;
    char action;            /* l: list, a: all, u: by UID, t: by time */
    int64_t since;          /* of -t: seconds ago */
    const char *keyword[2]; /* of -f */
    struct unexpunge_what what;
    struct uid_set uids;
    bool verbose;
};

/* ---- -l ---- */

/* Terminals obey control characters. */
static void print_line(const char *name, const char *text)
{
    printf("\t%s: ", name);
    for (; text != NULL && *text != '\0'; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
    putchar('\n');
}

static void print_time(const char *name, int64_t time, int zone)
{
    char text[MAIL_DATE_SIZE];

    mail_date_format(text, time, zone);
    print_line(name, text);
}

static void print_header(struct mailbox *mailbox, uint32_t number, const struct mailbox_record *record)
{
    static const char *const fields[][2] = {
        {"From", "From"}, {"To  ", "To"}, {"Cc  ", "Cc"}, {"Bcc ", "Bcc"}, {"Subj", "Subject"}};
    struct pool *pool = pool_new(0);
    struct message *message;
    const char *header;
    size_t len;

    message_open(mailbox, number, record, &message);
    if (message_item(message, CACHE_HEADERS, &header, &len) == 0)
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            print_line(fields[i][0], mail_header_get(pool, header, len, fields[i][1]));
    message_close(&message);
    pool_free(&pool);
}

static int print_message(struct mailbox *mailbox, uint32_t number, const struct mailbox_record *record,
                         void *context)
{
    const struct request *request = context;

    if (request->uids.count > 0 && !uid_set_has(&request->uids, record->uid))
        return 0;
    printf("UID: %" PRIu32 "\n\tSize: %" PRIu64 "\n", record->uid, record->size);
    print_time("Sent", record->sent_date, record->sent_zone);
    print_time("Recv", record->internal_date, record->internal_zone);
    print_time("Expg", record->last_updated, mail_date_local_zone(record->last_updated));
    print_header(mailbox, number, record);
    putchar('\n');
    return 0;
}

/* ---- bringing back ---- */

/* The new UIDs follow one another. */
static void print_pairs(const char *name, const struct copy_result *result)
{
    uint32_t new = uid_set_size(&result->destination) > 0 ? uid_set_first(&result->destination) : 0;

    for (size_t i = 0; i < result->source.count; i++)
        for (uint32_t uid = result->source.ranges[i].first; uid <= result->source.ranges[i].last; uid++)
            printf("Unexpunged %s: %" PRIu32 " => %" PRIu32 "\n", name, uid, new ++);
}

static int restore(struct mailbox *mailbox, const struct request *request, const char *name)
{
    struct copy_result result;
    int r;

    printf("restoring %sexpunged messages in mailbox '%s'\n", request->action == 'a' ? "all " : "", name);
    r = mailbox_unexpunge(mailbox, &request->what, &result);
    if (r != 0)
        return r;
    if (request->verbose)
        print_pairs(name, &result);
    printf("restored %" PRIu64 " expunged messages\n", uid_set_size(&result.source));
    copy_result_free(&result);
    return 0;
}

/* ---- */

static int work(struct mboxop_env *env, const struct mboxlist_record *record, struct request *request,
                const char *name)
{
    struct mailbox *mailbox;
    int r = mailbox_open(env->store, record->partition, record->id, &mailbox);

    if (r != 0)
        return r;
    if (request->action == 'l')
        r = mailbox_expunged_each(mailbox, print_message, request);
    else
        r = restore(mailbox, request, name);
    mailbox_close(&mailbox);
    return r;
}

static int run(struct request *request, const char *name)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    struct mboxop_env env;
    int status = tool_open(program, false, &env), r;

    if (status == 0 && tool_has_store(program, &env)) {
        r = tool_lookup(&env, name, false, pool, &record);
        if (r == 0 && record.type != MBOXLIST_LOCAL) {
            fprintf(stderr, "%s: %s is on %s\n", program, name, record.server);
            status = EX_UNAVAILABLE;
        } else {
            r = r == 0 ? work(&env, &record, request, tool_external(&env, record.name, pool)) : r;
            if (r != 0)
                fprintf(stderr, "%s: %s: %s\n", program, name,
                        r == ERR_NOTFOUND ? "Mailbox does not exist" : error_text(r));
            if (r != 0)
                status = r == ERR_NOTFOUND ? EX_NOINPUT : EX_TEMPFAIL;
        }
    }
    tool_close(&env);
    pool_free(&pool);
    return status;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] -l mailbox [uid...]\n"
            "       %s [-C imapd.conf] -a [-d] [-f flag] [-v] mailbox\n"
            "       %s [-C imapd.conf] -t time [-d] [-f flag] [-v] mailbox\n"
            "       %s [-C imapd.conf] -u [-d] [-f flag] [-v] mailbox uid...\n",
            program, program, program, program);
    return EX_USAGE;
}

/* A bare number is seconds, and there are weeks: unlike the durations of other tools. */
static bool parse_time(const char *text, int64_t *seconds_r)
{
    size_t n = strlen(text);
    uint32_t weeks;
    int64_t ms;

    if (n > 1 && text[n - 1] == 'w' && str_parse_u32(text, n - 1, &weeks) == 0) {
        *seconds_r = (int64_t)weeks * 7 * 24 * 3600;
        return true;
    }
    if (option_parse_duration(text, "s", &ms) != 0 || ms < 0)
        return false;
    *seconds_r = ms / 1000;
    return true;
}

static bool parse_flag(const char *flag, struct request *request)
{
    static const char *const names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_ieq(flag, names[i])) {
            request->what.system |= 1u << i;
            return true;
        }
    }
    request->keyword[0] = flag;
    request->what.keywords = request->keyword;
    /* RFC 3501 section 9, flag-keyword: an atom */
    for (; *flag != '\0'; flag++)
        if (*flag <= ' ' || *flag > '~' || strchr("(){%*\"\\]", *flag) != NULL)
            return false;
    return request->keyword[0][0] != '\0';
}

static bool parse_uid(const char *text, struct uid_set *uids)
{
    uint32_t uid;

    return str_parse_u32(text, strlen(text), &uid) == 0 && uid_set_add(uids, uid, uid) == 0;
}

static bool parse(int argc, char **argv, struct request *request)
{
    int c;

    while ((c = getopt(argc, argv, "C:laut:df:v")) != -1) {
        if (strchr("laut", c) != NULL && request->action != '\0')
            return false;
        if (c == 'C')
            request->config = optarg;
        else if (strchr("laut", c) != NULL)
            request->action = (char)c;
        else if (c == 'd')
            request->what.undelete = true;
        else if (c == 'v')
            request->verbose = true;
        else if (c != 'f' || !parse_flag(optarg, request))
            return false;
        if (c == 't' && !parse_time(optarg, &request->since))
            return false;
    }
    for (int i = optind + 1; i < argc; i++)
        if (!parse_uid(argv[i], &request->uids))
            return false;
    if (request->action == '\0' || optind == argc)
        return false;
    if (request->action == 'u')
        return request->uids.count > 0;
    return request->action == 'l' || request->uids.count == 0;
}

int main(int argc, char **argv)
{
    struct request request = {.action = '\0'};
    int status;

    if (!parse(argc, argv, &request))
        return usage();
    if (request.action == 'u')
        request.what.uids = &request.uids;
    if (request.action == 't')
        request.what.since = clock_wall() - request.since;
    status = tool_start(program, request.config);
    if (status == 0)
        status = run(&request, argv[optind]);
    uid_set_free(&request.uids);
    return status;
}
