/* ctl_deliver: shows the marks of duplicate suppression (-d), and forgets old ones (-E). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/lmtp/local/duplicate.h"
#include "imap/store/store.h"
#include "imap/tools/tool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

static const char program[] = "ctl_deliver";

struct request {
    const char *config;
    bool dump, expire;
    int64_t keep; /* -E, seconds */
};

struct dump {
    struct mboxop_env *env;
    uint64_t count;
};

static int print(const char *mailbox_id, const char *message_id, int64_t time, void *context)
{
    struct dump *dump = context;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    bool known = mboxlist_lookup_id(dump->env->list, mailbox_id, pool, &record) == 0;

    printf("id: %-40s\tto: %-20s\tat: %" PRId64 "\n", message_id, known ? record.name : mailbox_id, time);
    dump->count++;
    pool_free(&pool);
    return 0;
}

static int work(struct mboxop_env *env, const struct request *request)
{
    struct dump dump = {.env = env};
    int r = 0;

    if (!tool_has_store(program, env))
        return 0;
    if (request->expire)
        r = duplicate_expire(store_volatile(env->store), clock_wall() - request->keep);
    if (r >= 0 && request->dump) {
        printf("it is NOW: %" PRId64 "\n", clock_wall());
        r = duplicate_each(store_volatile(env->store), print, &dump);
        printf("got %" PRIu64 " entries\n", dump.count);
    }
    if (r >= 0)
        return 0;
    fprintf(stderr, "%s: %s\n", program, error_text(r));
    return EX_TEMPFAIL;
}

static int usage(void)
{
    fprintf(stderr, "usage: %s [-C imapd.conf] [-E duration] [-d]\n", program);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct request request = {.config = NULL};
    struct mboxop_env env;
    int c, status;

    while ((c = getopt(argc, argv, "C:dE:")) != -1) {
        if (c == 'C')
            request.config = optarg;
        else if (c == 'd')
            request.dump = true;
        else if (c != 'E' || !tool_duration(program, optarg, &request.keep))
            return usage();
        request.expire |= c == 'E';
    }
    if (optind != argc || (!request.dump && !request.expire))
        return usage();
    status = tool_start(program, request.config);
    if (status != 0)
        return status;
    status = tool_open(program, false, &env);
    if (status == 0)
        status = work(&env, &request);
    tool_close(&env);
    return status;
}
