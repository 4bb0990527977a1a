#include "master/startup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/program.h"

struct startup {
    struct children *children;
    const struct conf_entry *entry; /* the one that runs, or is to run next */
    struct child *child;
    bool stopped;
    void (*done)(const char *error, void *context);
    void *context;
};

static void over(struct startup *s, const char *name, const char *why)
{
    char *text = xstrprintf("START %s: %s", name, why);

    s->stopped = true;
    s->done(text, s->context);
    free(text);
}

static void run_next(struct startup *s);

static void ended(struct child *c, int status, void *owner)
{
    struct startup *s = owner;
    char text[32];

    (void)c;
    s->child = NULL;
    if (s->stopped)
        return;
    if (!child_succeeded(status)) {
        over(s, s->entry->name, child_status_text(status, text, sizeof(text)));
        return;
    }
    s->entry = s->entry->next;
    run_next(s);
}

/* Starts the program of s->entry.  False: it is absent and left out. */
static bool start(struct startup *s)
{
    struct child_spec spec = {.argv = s->entry->argv, .name = s->entry->name, .pipe_fd = -1};
    char *path;
    enum program_state found = program_find(s->entry->argv[0], &path);

    if (found == PROGRAM_ABSENT) {
        LOG(LOG_NOTICE, MASTER_ABSENT, LOG_STR(NAME, s->entry->name), LOG_STR(VALUE, s->entry->argv[0]));
        return false;
    }
    spec.path = path;
    s->child = found == PROGRAM_FOUND ? child_spawn(s->children, &spec, ended, s) : NULL;
    if (found != PROGRAM_FOUND)
        over(s, s->entry->name, "no such program");
    else if (s->child == NULL)
        over(s, s->entry->name, strerror(errno));
    free(path);
    return true;
}

static void run_next(struct startup *s)
{
    for (; s->entry != NULL; s->entry = s->entry->next) {
        if (start(s))
            return;
    }
    s->stopped = true;
    s->done(NULL, s->context);
}

struct startup *startup_run(struct children *children, const struct conf *conf,
                            void (*done)(const char *error, void *context), void *context)
{
    struct startup *s = xcalloc(1, sizeof(*s));

    *s = (struct startup){
        .children = children, .entry = conf->sections[CONF_START], .done = done, .context = context};
    run_next(s);
    return s;
}

void startup_stop(struct startup *s, int signo)
{
    if (s == NULL)
        return;
    s->stopped = true;
    if (s->child != NULL)
        child_signal(s->child, signo);
}

void startup_free(struct startup **s)
{
    free(*s);
    *s = NULL;
}
