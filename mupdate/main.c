/* main.c: the program mupdate: master with -m, slave without; -a: master where mupdate_server names this
 * machine. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "imap/login/login.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/base/ticker.h"
#include "master/service-run.h"
#include "mupdate/follow.h"
#include "mupdate/front.h"
#include "mupdate/group.h"
#include "mupdate/names.h"
#include "mupdate/slave.h"
#include "mupdate/takeover.h"

enum { LOCAL_BACKLOG = 128, KEEPER_MS = 5000 };

struct program {
    struct server server;
    struct names *names;         /* the master's */
    struct mupdate_group *group; /* whose member the master is; NULL: none */
    struct door network, local;
    struct login_service *network_login, *local_login;
    struct mboxlist *list; /* NULL: a master that shares its node with no frontend */
    struct slave *slave;
    struct follower *_Atomic follower; /* a group's threads begin before it */
    struct engine *engine;
    char *role;
    int local_fd;
    struct ticker *keeper;
};

/* ---- the role ---- */

/* Is a server's name this machine's (ports and the case of letters aside)? */
static bool names_this_machine(const char *server)
{
    const char *own = config_servername();
    size_t len = strcspn(server, ": \t");

    return strcspn(own, ":") == len && str_ieq_n(server, own, len);
}

/* Is this machine among those servers? */
static bool lists_this_machine(const char *servers)
{
    for (servers += strspn(servers, " \t"); *servers != '\0'; servers += strspn(servers, " \t")) {
        if (names_this_machine(servers))
            return true;
        servers += strcspn(servers, " \t");
    }
    return false;
}

static bool is_master(void)
{
    const char *server = opt_string(OPT_MUPDATE_SERVER);

    if (service_option('m') != NULL)
        return true;
    return service_option('a') != NULL && server != NULL && lists_this_machine(server);
}

/* Does the node that the master runs on need a list of the whole murder? */
static bool keeps_list(void)
{
    return config_role() == CONFIG_FRONTEND || config_role() == CONFIG_UNIFIED;
}

/* ---- master ---- */

static void on_published(void *context)
{
    struct program *p = context;

    struct follower *follower = atomic_load(&p->follower);

    if (follower != NULL)
        follower_kick(follower);
    hub_wake(p->server.hub);
}

/* Checkpoints: a short recovery, few log files.  A database that wants to be recovered (its disk
 * was full, say) is opened anew by the process after this one. */
static void keep(void *context)
{
    struct program *p = context;

    if (names_housekeeping(p->names) == ERR_CORRUPT && !service_is_stopping())
        kill(getpid(), SIGTERM);
}

static void on_broken(void *context)
{
    (void)context;
    if (!service_is_stopping())
        kill(getpid(), SIGTERM);
}

/* A member of a replicated group. */
static int start_member(struct program *p, char **error_r)
{
    struct mupdate_group_config config = {.dir = opt_string(OPT_CONFIGDIRECTORY),
                                          .members = opt_string(OPT_MUPDATE_GROUP),
                                          .own = config_servername(),
                                          .hub = p->server.hub,
                                          .conflicts = p->server.conflicts,
                                          .published = on_published,
                                          .broken = on_broken,
                                          .context = p};
    struct door *doors[] = {&p->network, &p->local};
    int r = mupdate_group_open(&config, &p->group, error_r);
    if (r < 0)
        return r;
    p->names = mupdate_group_names(p->group);
    p->server.group = p->group;
    p->server.writer = writer_new(p->names, mupdate_group_write, p->group);
    for (size_t i = 0; i < ARRAY_SIZE(doors); i++) {
        doors[i]->barrier_ask = mupdate_group_barrier_ask;
        doors[i]->barrier_done = mupdate_group_barrier_done;
        doors[i]->barrier_context = p->group;
    }
    return 0;
}

static int start_alone(struct program *p, char **error_r)
{
    int r =
        names_open(opt_string(OPT_CONFIGDIRECTORY), NAMES_OWNER_WAIT_MS, on_published, p, &p->names, error_r);

    if (r == 0)
        p->server.writer = writer_new(p->names, NULL, NULL);
    return r;
}

/* A member that keeps its node's list: it is as far as our copy, and that is as far as the group. */
static uint64_t ask_both(void *context)
{
    return mupdate_group_barrier_ask(((struct program *)context)->group);
}

static int both_done(void *context, uint64_t ticket)
{
    struct program *p = context;
    int r = mupdate_group_barrier_done(p->group, ticket);

    return r == 1 ? follower_barrier_done(p->follower, mupdate_group_barrier_sequence(p->group)) : r;
}

/* The list of the node that the master runs on. */
static int start_follower(struct program *p, char **error_r)
{
    int r = mboxlist_open(NULL, &p->list, error_r);

    if (r < 0)
        return r;
    p->follower = follower_new(p->names, p->list, config_servername(), p->server.hub);
    p->local.barrier_ask = p->group != NULL ? ask_both : follower_barrier_ask;
    p->local.barrier_done = p->group != NULL ? both_done : follower_barrier_done;
    p->local.barrier_context = p->group != NULL ? (void *)p : p->follower;
    return 0;
}

static int start_master(struct program *p, char **error_r)
{
    bool group = opt_string(OPT_MUPDATE_GROUP) != NULL;
    int r = takeover_check(opt_string(OPT_CONFIGDIRECTORY), group, error_r);

    if (r == 0)
        r = group ? start_member(p, error_r) : start_alone(p, error_r);
    if (r < 0)
        return r;
    p->server.source = names_source(p->names);
    p->role = xstrdup("(master)");
    if (keeps_list() && (r = start_follower(p, error_r)) < 0)
        return r;
    return ticker_start(KEEPER_MS, keep, p, &p->keeper);
}

/* ---- slave ---- */

static void set_barrier(struct door *door, struct slave *slave)
{
    door->barrier_ask = slave_barrier_ask;
    door->barrier_done = slave_barrier_done;
    door->barrier_context = slave;
}

static int start_slave(struct program *p, char **error_r)
{
    const char *master = opt_string(OPT_MUPDATE_SERVER);
    struct slave_config config = {
        .own = config_servername(), .hub = p->server.hub, .answer_ms = SLAVE_ANSWER_MS};
    int r;

    if (master == NULL) {
        *error_r = xstrdup("mupdate without -m is a slave, and no mupdate_server is configured");
        return ERR_CONFIG;
    }
    r = mboxlist_open(NULL, &p->list, error_r);
    if (r < 0)
        return r;
    config.list = p->list;
    config.conn.server = master;
    config.conn.port = opt_is_set(OPT_MUPDATE_PORT) ? (unsigned)opt_int(OPT_MUPDATE_PORT) : 0;
    config.retry_most_ms = 1000 * opt_int(OPT_MUPDATE_RETRY_DELAY);
    p->slave = slave_new(&config);
    p->server.source = slave_source(p->slave);
    p->role = xstrprintf("mupdate://%s", master);
    set_barrier(&p->network, p->slave);
    set_barrier(&p->local, p->slave);
    return 0;
}

/* ---- the local socket ---- */

/* Binds a socket that only our own user may open, and puts it in the place of an old one at once. */
static int bind_local(const char *path, struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)address, sizeof(*address));

    umask(mask);
    if (r == 0)
        r = listen(fd, LOCAL_BACKLOG);
    if (r == 0)
        r = rename(address->sun_path, path);
    if (r < 0 && fd >= 0) {
        unlink(address->sun_path);
        close(fd);
    }
    return r < 0 ? -1 : fd;
}

static int open_local(struct program *p, char **error_r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct buf path = BUF_INIT, temporary = BUF_INIT;
    int r;

    config_path(&path, "socket/mupdate.target");
    buf_printf(&temporary, "%s.%ld", buf_cstr(&path), (long)getpid());
    p->local_fd = -1;
    r = file_make_parents(buf_cstr(&path), 0755, 0);
    if (r == 0 && str_copy(address.sun_path, sizeof(address.sun_path), buf_cstr(&temporary))) {
        unlink(address.sun_path);
        p->local_fd = bind_local(buf_cstr(&path), &address);
    }
    if (p->local_fd < 0) {
        *error_r = xstrprintf("%s: cannot listen there", buf_cstr(&path));
        r = ERR_IO;
    }
    buf_free(&path);
    buf_free(&temporary);
    return r;
}

/* ---- the service ---- */

static int make_logins(struct program *p, char **error_r)
{
    struct login_config config = {.service = service_name(), .ops = &front_ops, .context = &p->network};
    int r = login_service_new(&config, &p->network_login, error_r);

    if (r < 0)
        return r;
    config.context = &p->local;
    return login_service_new(&config, &p->local_login, error_r);
}

static int start(struct engine *e, void *context, char **error_r)
{
    struct program *p = context;
    int r;

    p->engine = e;
    p->server.hub = hub_new();
    p->server.lanes = lanes_new(0);
    p->server.conflicts = conflicts_new();
    p->network.server = p->local.server = &p->server;
    p->local.local = true;
    r = is_master() ? start_master(p, error_r) : start_slave(p, error_r);
    if (r < 0)
        return r;
    p->server.role = p->role;
    r = make_logins(p, error_r);
    if (r == 0)
        r = open_local(p, error_r);
    if (r == 0)
        r = engine_listen(e, p->local_fd, login_accept, p->local_login);
    return r;
}

static void accepted(struct engine *e, int fd, void *context)
{
    struct program *p = context;

    login_accept(e, fd, p->network_login);
}

static void wake(struct session *s, void *object, void *context)
{
    (void)object;
    (void)context;
    session_wake(s);
}

/* The process after us waits for the database: streams have no end of their own, so all sessions end now. */
static void stop(void *context)
{
    struct program *p = context;

    atomic_store(&p->server.stopping, true);
    if (p->local_fd >= 0)
        close(p->local_fd);
    p->local_fd = -1;
    engine_each(p->engine, wake, NULL);
}

static void end(void *context)
{
    struct program *p = context;
    struct follower *follower = p->follower;

    ticker_stop(&p->keeper);
    slave_free(&p->slave);
    mupdate_group_stop(p->group);
    writer_free(&p->server.writer);
    follower_free(&follower); /* nobody publishes any more */
    if (p->group != NULL)
        mupdate_group_close(&p->group);
    else
        names_close(&p->names);
    mboxlist_close(&p->list);
    login_service_free(&p->network_login);
    login_service_free(&p->local_login);
    hub_free(&p->server.hub);
    lanes_free(&p->server.lanes);
    conflicts_free(&p->server.conflicts);
    free(p->role);
}

int main(int argc, char **argv)
{
    static struct program program = {.local_fd = -1};
    const struct service service = {.program = "mupdate",
                                    .name = "mupdate",
                                    .options = "ma",
                                    .start = start,
                                    .accepted = accepted,
                                    .stop = stop,
                                    .end = end,
                                    .context = &program};

    return service_run(&service, argc, argv);
}
