/* ctl_mupdate: the state of a replicated group of MUPDATE masters, as this machine's member sees it; its members. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mupdate/conn.h"
#include "mupdate/takeover.h"

static const char program[] = "ctl_mupdate";

enum { ANSWER_MS = 60 * 1000 };

struct request {
    const char *config, *remove;
    bool json, by_group, by_one, forced;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s%s\n", program, what, *why != '\0' ? ": " : "", why);
    return EX_TEMPFAIL;
}

static void print_member(const struct mupdate_line *line, json_t *members)
{
    if (members != NULL)
        json_array_append_new(members, json_pack("{s:s,s:s,s:s}", "name", line->args[0], "role",
                                                 line->args[1], "seen", line->args[2]));
    else
        printf("%-40s %-10s %s\n", line->args[0], line->args[1], line->args[2]);
}

static void print_group(const struct mupdate_line *line, json_t *members)
{
    json_t *all;

    if (members == NULL) {
        printf("this member: %s; log entries: %s visible, %s here, %s settled\n", line->args[0],
               line->args[1], line->args[2], line->args[3]);
        return;
    }
    all = json_pack("{s:s,s:I,s:I,s:I,s:O}", "state", line->args[0], "visible",
                    (json_int_t)atoll(line->args[1]), "here", (json_int_t)atoll(line->args[2]), "settled",
                    (json_int_t)atoll(line->args[3]), "members", members);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

/* 1: the answer was complete, *status_r; 0: more is to come; or an error of the connection. */
static int take_line(struct mupdate_conn *conn, json_t *members, int *status_r)
{
    const struct mupdate_line *line;
    int r;

    while ((r = mupdate_conn_line(conn, &line)) == 1) {
        if (str_ieq(line->word, "XMEMBER") && line->count == 3) {
            print_member(line, members);
        } else if (str_ieq(line->word, "XGROUP") && line->count >= 4) {
            print_group(line, members);
        } else if (strcmp(line->tag, "G1") == 0) {
            *status_r =
                str_ieq(line->word, "OK") ? 0 : fail(line->count > 0 ? line->args[0] : line->word, "");
            return 1;
        }
    }
    return r;
}

static int converse(const struct request *request, struct mupdate_conn *conn)
{
    json_t *members = request->json ? json_array() : NULL;
    int64_t deadline = clock_deadline(ANSWER_MS);
    struct buf out = BUF_INIT;
    int r, status = EX_TEMPFAIL;

    if (request->remove != NULL)
        mupdate_put_line(&out, "G1", "XGROUP", "REMOVE", request->remove, NULL);
    else
        mupdate_put_line(&out, "G1", "XGROUP", NULL);
    mupdate_conn_write(conn, &out);
    buf_free(&out);
    while ((r = take_line(conn, members, &status)) == 0)
        if ((r = mupdate_conn_wait(conn, deadline)) < 0 || clock_left(deadline) == 0)
            break;
    if (r != 1)
        status = fail("no answer", error_text(r < 0 ? r : ERR_TIMEOUT));
    json_decref(members);
    return status;
}

static int run(const struct request *request)
{
    struct mupdate_conn_config config = {.anonymous = true, .wake_fd = -1};
    struct mupdate_conn *conn = NULL;
    struct buf path = BUF_INIT, why = BUF_INIT;
    int status;

    config_path(&path, "socket/mupdate.target");
    config.server = buf_cstr(&path);
    if (mupdate_conn_open(&config, clock_deadline(ANSWER_MS), &conn, &why) < 0)
        status = fail(config.server, buf_cstr(&why));
    else
        status = converse(request, conn);
    mupdate_conn_close(&conn);
    buf_free(&why);
    buf_free(&path);
    return status;
}

/* While mupdate does not run: the list becomes the group's that imapd.conf names, or a lone master's. */
static int take_over(const struct request *request)
{
    const char *dir = opt_string(OPT_CONFIGDIRECTORY);
    bool group = opt_string(OPT_MUPDATE_GROUP) != NULL;
    char *error = NULL;
    int r, status;

    if (group != request->by_group)
        return fail(group ? "imapd.conf has mupdate_group" : "imapd.conf has no mupdate_group", "");
    r = request->by_group ? takeover_by_group(dir, &error) : takeover_by_one(dir, request->forced, &error);
    status = r < 0 ? fail(error, "") : 0;
    free(error);
    return status;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: %s [-C imapd.conf] [-j]\n       %s [-C imapd.conf] -r member\n       %s [-C imapd.conf] -n\n"
        "       %s [-C imapd.conf] -a [-f]\n",
        program, program, program, program);
    return EX_USAGE;
}

/* At most one thing to do, and -f only with -a. */
static bool is_one_thing(const struct request *r)
{
    return r->json + (r->remove != NULL) + r->by_group + r->by_one <= 1 && (!r->forced || r->by_one);
}

int main(int argc, char **argv)
{
    struct request request = {0};
    int c, status;

    while ((c = getopt(argc, argv, "C:afjnr:")) != -1) {
        if (c == 'C')
            request.config = optarg;
        else if (c == 'a')
            request.by_one = true;
        else if (c == 'f')
            request.forced = true;
        else if (c == 'j')
            request.json = true;
        else if (c == 'n')
            request.by_group = true;
        else if (c == 'r')
            request.remove = optarg;
        else
            return usage();
    }
    if (optind != argc || !is_one_thing(&request))
        return usage();
    status = tool_start(program, request.config);
    if (status != 0)
        return status;
    return request.by_group || request.by_one ? take_over(&request) : run(&request);
}
