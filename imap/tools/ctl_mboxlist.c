/* ctl_mboxlist: the mailbox list as a whole: -m compares it with the MUPDATE master's, -v with the files, -d and -u
 * write and read it as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/mboxop/push.h"
#include "imap/tools/tool.h"
#include "imap/tools/verify.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/mboxlist/dump.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"

static const char program[] = "ctl_mboxlist";

enum { MASTER_WAIT_MS = 10 * 1000 }; /* then the services push later */

struct request {
    char action; /* m, d, u, v */
    bool authoritative, show_only, interactive, verbose;
    const char *config, *partition, *file;
};

static int failed(int error, const char *why)
{
    fprintf(stderr, "%s: %s\n", program, why != NULL && *why != '\0' ? why : error_text(error));
    return error == ERR_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
}

/* ---- -m ---- */

static const char *const findings[PUSH_FINDINGS] = {
    [PUSH_ONLY_HERE] = "not at the master as it is here",
    [PUSH_ELSEWHERE] = "here, and active on another server",
    [PUSH_ONLY_THERE] = "at the master as ours, not here",
};

static const char *const remedies[PUSH_FINDINGS] = {
    [PUSH_ONLY_HERE] = "push it",
    [PUSH_ELSEWHERE] = "move it to the DELETED hierarchy",
    [PUSH_ONLY_THERE] = "remove it there",
};

static bool ask(enum push_finding finding, const char *name, const char *location, void *context)
{
    char answer[16] = "";

    (void)context;
    printf("%s (%s): %s; %s? [y/N] ", name, location, findings[finding], remedies[finding]);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Without -w or -v only what an administrator must know: what was moved away, and what did not succeed. */
static void report(enum push_finding finding, const char *name, const char *location, int result,
                   void *context)
{
    const struct request *request = context;

    if (!request->show_only && !request->verbose && finding != PUSH_ELSEWHERE && result == 0)
        return;
    printf("%s: %s%s%s%s", name, findings[finding], *location != '\0' ? " (" : "", location,
           *location != '\0' ? ")" : "");
    if (!request->show_only)
        printf(": %s", result == 0 ? "done" : error_text(result));
    putchar('\n');
}

/* A backend must start when the master is away or refuses us: its services push the list when they can. */
static int away(const char *why)
{
    LOG(LOG_WARNING, CTL_MBOXLIST_AWAY, LOG_STR(ERROR, why));
    fprintf(stderr, "%s: the MUPDATE master is away (%s); the list will be pushed later\n", program, why);
    return 0;
}

static int shrunk(void)
{
    fprintf(stderr,
            "%s: too many of the mailboxes that the MUPDATE master has of this server are not here; nothing "
            "was pushed "
            "(-w lists them; mupdate_remove_max, -i)\n",
            program);
    return EX_DATAERR;
}

static int push(const struct request *request, struct mboxop_env *env)
{
    const struct push_options options = {
        .show_only = request->show_only,
        .authoritative = request->authoritative,
        .ask = request->interactive ? ask : NULL,
        .report = report,
        .context = (void *)request,
    };
    struct buf why = BUF_INIT;
    int r, status = 0;

    if (env->link == NULL || config_role() == CONFIG_FRONTEND) {
        fprintf(stderr, "%s: -m is for backends: mupdate_server and proxyservers in imapd.conf\n", program);
        return EX_CONFIG;
    }
    r = mupdate_link_wait_up(env->link, clock_deadline(MASTER_WAIT_MS), &why);
    if (r == 0)
        r = mboxop_push(env, &options, NULL);
    if (r == ERR_UNAVAILABLE || r == ERR_TIMEOUT || r == ERR_AUTH)
        status = away(why.len > 0 ? buf_cstr(&why) : error_text(r));
    else if (r == ERR_LIMIT)
        status = shrunk();
    else if (r != 0 && r != ERR_BUSY) /* who works on a name tells the master himself */
        status = failed(r, buf_cstr(&why));
    buf_free(&why);
    return status;
}

/* ---- -d, -u ---- */

static FILE *open_file(const char *path, const char *mode, FILE *standard)
{
    FILE *f = path != NULL ? fopen(path, mode) : standard;

    if (f == NULL)
        fprintf(stderr, "%s: %s: %s\n", program, path, strerror(errno));
    return f;
}

static int dump(const struct request *request, struct mboxlist *list)
{
    FILE *to = open_file(request->file, "w", stdout);
    int r;

    if (to == NULL)
        return EX_CANTCREAT;
    r = mboxlist_dump(list, NULL, request->partition, to);
    if (fflush(to) != 0 && r == 0)
        r = ERR_IO;
    if (to != stdout && fclose(to) != 0 && r == 0)
        r = ERR_IO;
    return r == 0 ? 0 : failed(r, NULL);
}

static int undump(const struct request *request, struct mboxlist *list)
{
    FILE *from = open_file(request->file, "r", stdin);
    char *why = NULL;
    int r;

    if (from == NULL)
        return EX_NOINPUT;
    r = mboxlist_undump(list, from, NULL, &why);
    if (from != stdin)
        fclose(from);
    if (r != 0)
        failed(r, why);
    free(why);
    return r == 0 ? 0 : (r == ERR_SYNTAX ? EX_DATAERR : EX_TEMPFAIL);
}

/* ---- */

static int run(const struct request *request)
{
    struct mboxop_env env;
    int status = tool_open(program, request->action == 'm', &env);

    if (status == 0) {
        if (request->action == 'm')
            status = push(request, &env);
        else if (request->action == 'v')
            status = verify_list(program, &env);
        else
            status = request->action == 'd' ? dump(request, env.list) : undump(request, env.list);
    }
    tool_close(&env);
    return status;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] -m [-a] [-w] [-i] [-v]\n"
            "       %s [-C imapd.conf] -v\n"
            "       %s [-C imapd.conf] -d [-p partition] [-f file]\n"
            "       %s [-C imapd.conf] -u [-f file]\n",
            program, program, program, program);
    return EX_USAGE;
}

static bool parse(int argc, char **argv, struct request *request)
{
    int c;

    while ((c = getopt(argc, argv, "C:mawidup:f:v")) != -1) {
        switch (c) {
        case 'C':
            request->config = optarg;
            break;
        case 'm':
        case 'd':
        case 'u':
            if (request->action != '\0')
                return false;
            request->action = (char)c;
            break;
        case 'a':
            request->authoritative = true;
            break;
        case 'w':
            request->show_only = true;
            break;
        case 'i':
            request->interactive = true;
            break;
        case 'v':
            request->verbose = true;
            break;
        case 'p':
            request->partition = optarg;
            break;
        case 'f':
            request->file = optarg;
            break;
        default:
            return false;
        }
    }
    if (request->action == '\0' && request->verbose)
        request->action = 'v';
    return request->action != '\0' && optind == argc;
}

int main(int argc, char **argv)
{
    struct request request = {0};
    int status;

    if (!parse(argc, argv, &request))
        return usage();
    status = tool_start(program, request.config);
    return status == 0 ? run(&request) : status;
}
