/* Acceptors: a thread for each listening socket, in a blocking accept(2), so that the kernel
 * shares connections out between the processes that wait for them. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"

enum { ACCEPT_RETRY_MS = 100 };

/* The socket belongs to other processes too, so it cannot be shut down: a signal without
 * SA_RESTART ends the accept(2) of one thread. */
#define ACCEPT_SIGNAL SIGRTMIN

static void signal_nothing(int number)
{
    (void)number;
}

static void signal_prepare(void)
{
    struct sigaction sa = {.sa_handler = signal_nothing};

    sigemptyset(&sa.sa_mask);
    sigaction(ACCEPT_SIGNAL, &sa, NULL);
}

static void signal_admit(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, ACCEPT_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Waits while the process is full.  False: the acceptor is to end. */
static bool wait_for_room(struct engine *e)
{
    pthread_mutex_lock(&e->list_lock);
    while (e->sessions >= e->config.sessions_max && !atomic_load(&e->not_listening))
        pthread_cond_wait(&e->list_changed, &e->list_lock);
    pthread_mutex_unlock(&e->list_lock);
    return !atomic_load(&e->not_listening);
}

/* An accept(2) that failed: what it tells about the connection is skipped, for what it tells about
 * this process we wait a little. */
static void accept_failed(const struct acceptor *a, int errnum)
{
    struct pollfd pfd = {.fd = a->fd, .events = POLLIN};

    switch (errnum) {
    case EAGAIN: /* somebody made the shared socket non-blocking */
        poll(&pfd, 1, -1);
        break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        LOG(LOG_ERR, ENGINE_ACCEPT, LOG_ERROR(error_from_errno(errnum)));
        poll(NULL, 0, ACCEPT_RETRY_MS);
        break;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        LOG(LOG_ERR, ENGINE_ACCEPT, LOG_ERROR(error_from_errno(errnum)));
        poll(NULL, 0, 10 * ACCEPT_RETRY_MS);
        break;
    default:
        break;
    }
}

static void *acceptor_main(void *arg)
{
    struct acceptor *a = arg;

    signal_admit();
    while (wait_for_room(a->engine)) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            a->accepted(a->engine, fd, a->context);
        else
            accept_failed(a, errno);
    }
    atomic_store(&a->done, true);
    return NULL;
}

int engine_listen(struct engine *e, int listen_fd, void (*accepted)(struct engine *e, int fd, void *context),
                  void *context)
{
    struct acceptor *a = xcalloc(1, sizeof(*a));

    *a = (struct acceptor){.engine = e, .fd = listen_fd, .accepted = accepted, .context = context};
    signal_prepare();
    if (engine_thread(&a->thread, acceptor_main, a) < 0) {
        free(a);
        return ERR_LIMIT;
    }
    pthread_mutex_lock(&e->list_lock);
    a->next = e->acceptors;
    e->acceptors = a;
    pthread_mutex_unlock(&e->list_lock);
    return 0;
}

void acceptor_stop_all(struct engine *e)
{
    struct acceptor *list;

    pthread_mutex_lock(&e->list_lock);
    list = e->acceptors;
    e->acceptors = NULL;
    atomic_store(&e->not_listening, true);
    pthread_cond_broadcast(&e->list_changed);
    pthread_mutex_unlock(&e->list_lock);
    while (list != NULL) {
        struct acceptor *a = list;

        list = a->next;
        /* The signal may come just before accept(2) begins: until the thread says that it saw it. */
        while (!atomic_load(&a->done)) {
            pthread_kill(a->thread, ACCEPT_SIGNAL);
            poll(NULL, 0, 2);
        }
        pthread_join(a->thread, NULL);
        free(a);
    }
}
