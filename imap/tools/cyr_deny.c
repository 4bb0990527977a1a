/* cyr_deny: refuses a user's logins and ends his sessions, until he is allowed again. */
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/login/deny.h"
#include "imap/tools/tool.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/name/identity.h"

static const char program[] = "cyr_deny";

struct request {
    const char *config, *service, *text, *user;
    bool allow, list;
};

static int print(const char *userid, const char *service, const char *text, void *context)
{
    (void)context;
    printf("%-30s %-20s %s\n", userid, service, text);
    return 0;
}

static int run(const struct request *request)
{
    struct buf userid = BUF_INIT;
    int r = 0;

    if (!request->list)
        r = identity_canonical(name_config(), request->user, opt_switch(OPT_USERNAME_TOLOWER), &userid);
    if (r != 0) {
        fprintf(stderr, "%s: no user: %s\n", program, request->user);
        buf_free(&userid);
        return EX_NOUSER;
    }
    if (request->list && print("Username", "Service(s)", "Message", NULL) == 0)
        r = deny_each(print, NULL);
    else if (request->allow)
        r = deny_clear(buf_cstr(&userid), request->service);
    else
        r = deny_set(buf_cstr(&userid), request->service, request->text);
    buf_free(&userid);
    if (r == ERR_NOTFOUND && request->allow) /* he was not denied */
        r = 0;
    if (r != 0)
        fprintf(stderr, "%s: %s\n", program, error_text(r));
    return r == 0 ? 0 : r == ERR_INVALID ? EX_USAGE : EX_TEMPFAIL;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-s service] [-m text] user\n"
            "       %s [-C imapd.conf] -a [-s service] user\n"
            "       %s [-C imapd.conf] -l\n",
            program, program, program);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct request request = {.service = DENY_ALL_SERVICES,
                              .text = "Access to this service has been blocked"};
    int c, status;

    while ((c = getopt(argc, argv, "C:s:m:al")) != -1) {
        if (c == 'C')
            request.config = optarg;
        else if (c == 's')
            request.service = optarg;
        else if (c == 'm')
            request.text = optarg;
        else if (c == 'a')
            request.allow = true;
        else if (c == 'l')
            request.list = true;
        else
            return usage();
    }
    if (request.list ? optind != argc || request.allow : optind + 1 != argc)
        return usage();
    request.user = argv[optind];
    status = tool_start(program, request.config);
    return status == 0 ? run(&request) : status;
}
