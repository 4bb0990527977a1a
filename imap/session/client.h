/* client.h: an IMAP client's session.
 *
 * Confined to the thread that runs its session (lib/engine).  What a parked session keeps is
 * this, its stream, its namespace and its legs: no command memory. */
#ifndef IMAP_SESSION_CLIENT_H
#define IMAP_SESSION_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/session/command.h"
#include "imap/session/input.h"
#include "imap/session/leg.h"
#include "lib/base/pool.h"
#include "lib/name/acl.h"

struct identity;
struct login;
struct mboxlist;
struct namespace;
struct notify;
struct session;
struct stream;

enum client_state {
    CLIENT_NOAUTH,
    CLIENT_AUTH,
    CLIENT_SELECTED,
    CLIENT_LOGOUT,  /* BYE is said; flush and close */
    CLIENT_NOBODYS, /* UNAUTHENTICATE is answered: everything begins anew */
};

#define CLIENT_MAGIC 0x496d4163u

struct client {
    uint32_t magic;
    struct login *login;     /* the connection: stream, TLS, who it is */
    struct session *session; /* of lib/engine */
    struct stream *stream;
    const struct identity *identity; /* NULL before authentication; login's */
    bool is_script;  /* a script of another server acts: nothing that it does is an event (RFC 6785) */
    bool is_proxied; /* one of proxyservers speaks, for the user or for itself */
    bool is_peer;    /* that or an administrator: may say what only servers of a murder say to one another
                        (doc/protocols/cyrus-private.md) */
    bool is_itself;  /* whoever authenticated acts for nobody else */
    struct namespace *ns; /* how this user names mailboxes; NULL before authentication */
    struct pool *pool;    /* as long as the session */
    enum client_state state;

    struct mboxlist *list;   /* the process's mailbox list */
    struct input input;      /* the command being collected */
    struct command *command; /* the one that runs; NULL */
    void *barrier;           /* taken at login, before the first command */
    bool looked_for_inbox;   /* see newcomer.h */
    void *newcomer;          /* of leg_program.newcomer, while the INBOX is made */
    char *login_tag;         /* of the LOGIN or AUTHENTICATE under way; malloc'ed */
    const char *bye;         /* client_bye(): the text; in the pool */

    struct leg *legs;     /* those this session has opened; a list by leg.next */
    struct leg *selected; /* of the selected mailbox; NULL unless CLIENT_SELECTED, and when lost */
    char *selected_name;  /* internal name; malloc'ed */
    bool selected_lost;   /* its server went away: NO [UNAVAILABLE] until the client selects again */
    bool proc_is_old;     /* the table of processes shows another selection */
    bool is_drained;      /* the last stream_fill() of this run took all there was */
    bool mid_response;    /* a leg has passed the beginning of a response on, and not its end */
    bool read_only;       /* by EXAMINE, or for want of rights */
    bool takes_referrals; /* see referral.h */

    struct notify *notify; /* what NOTIFY has asked for (notify.h); NULL: never said */

    unsigned enabled; /* ENABLED_* bits (enable.h) */

    unsigned slots_used; /* bits of the engine's slots in use; 0 is the client's own */
};

/* The leg of a server, opened at its first use and kept with the session: NULL or this machine's own
 * name gives the local one.  NULL when this program has no such leg. */
struct leg *client_leg(struct client *c, const char *server);

/* A free slot of the session for a leg's descriptor, or -1; and back (which unwatches it). */
int client_slot_get(struct client *c);
void client_slot_put(struct client *c, int slot);

/* No leg's descriptor is waited for until its leg arms it again: dispatch does this whenever the session runs,
 * as a ready descriptor that nobody reads would wake it for ever. */
void client_slots_off(struct client *c);

/* A leg tells what became of the selection.  `name`: internal name, copied. */
void client_selected(struct client *c, struct leg *leg, const char *name, bool read_only);
void client_unselected(struct client *c);
/* The same where a command goes on to select: the table of processes (client_proc) is right again when it ends. */
void client_reselects(struct client *c);
/* Shows in cyr_info proc what the session does for long ("IDLE"); NULL: nothing. */
void client_proc(struct client *c, const char *command);

#define CLIENT_LOST_TEXT "[UNAVAILABLE] The mailbox's server went away: select again"

/* The selected mailbox's server went away (DESIGN 7): the client keeps its session; all that needs the
 * mailbox is answered NO [UNAVAILABLE] until it selects again. */
void client_selection_lost(struct client *c);

/* Untagged BYE with a text (behind "[CODE]" with a code), then the session ends: the running command gets no
 * answer any more.  From a leg: a mailbox that was deleted, or whose state this session cannot follow any
 * more. */
void client_bye(struct client *c, const char *code, const char *text);

/* An internal name as this client knows it, ready for a response (an astring; with c->ns->utf8 in UTF-8, maybe quoted);
 * NULL when the client's namespace has no name for it.  In the pool. */
const char *client_name_out(const struct client *c, struct pool *pool, const char *internal);
/* An external name likewise, appended. */
void client_put_name(const struct client *c, const char *external, struct buf *to);
/* The other way, of an argument already read; a trailing separator is cut.  0, ERR_BADNAME, ERR_TOOBIG. */
int client_name_in(const struct client *c, struct pool *pool, const char *external, const char **internal_r);
/* An ACL identifier of an argument, as lists keep it (identity_canonical_identifier()); in the pool. */
const char *client_identifier(struct pool *pool, const char *given);

/* The user's rights on a mailbox, of its record's ACL. */
rights_t client_rights(const struct client *c, const char *mailbox, const char *acl);

/* Who it is has been proved: sets identity and roles. */
void client_authenticated(struct client *c);

#endif
