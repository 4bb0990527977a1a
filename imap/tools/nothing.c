/* tls_prune, squatter: programs that old crontabs and cyrus.conf files call and that have nothing to do here. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

static const struct {
    const char *program, *why;
} programs[] = {
    {"squatter", "searches need no index that is made beforehand"},
    {"tls_prune", "TLS sessions are kept by their clients, in tickets"},
};

/* As a DAEMON of cyrus.conf (squatter -R) it must not end: master would start it again and again. */
static bool is_daemon(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-R") == 0)
            return true;
    return false;
}

static void wait_for_the_end(void)
{
    sigset_t signals;
    int caught;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sigwait(&signals, &caught);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (str_has_suffix(name, programs[i].program))
            printf("%s: nothing to do: %s\n", programs[i].program, programs[i].why);
    fflush(stdout);
    if (is_daemon(argc, argv))
        wait_for_the_end();
    return 0;
}
