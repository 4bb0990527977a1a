/* notify-private.h: what the files of NOTIFY share. */
#ifndef IMAP_SESSION_NOTIFY_PRIVATE_H
#define IMAP_SESSION_NOTIFY_PRIVATE_H

#include "imap/session/client.h"
#include "imap/session/notify-hub.h"
#include "imap/session/notify.h"
#include "imap/session/spread.h"
#include "lib/imapwire/seqset.h"

struct hash;
struct gathering;
struct journal_row;
struct session_file;

/* A mailbox whose messages are watched. */
struct watched {
    char *name; /* internal; malloc'ed */
    struct leg *leg;
    unsigned events;           /* of NOTIFY_MESSAGES */
    bool no_access;            /* the client has been told that it may not */
    bool kept;                 /* while the set is made anew: it is in it still */
    bool is_known;             /* `known` is what the client knows, or may ask for */
    struct leg_glance known;   /* a mailbox of this server's */
    struct session_file *file; /* that tells of changes there; NULL */
    bool fresh;                /* on another server: it has just come to the set */
    bool watching;             /* the kernel tells; else it is looked at every imapidlepoll */
};

/* A connection to another server that watches. */
struct notify_link {
    struct leg *leg;
    bool due;         /* it is to be told (again), when retry_at has come */
    bool lost;        /* it was away: what has changed meanwhile is to be told */
    int64_t retry_at; /* 0: at once */
    int64_t delay;    /* of the next try that fails */
};

struct notify {
    struct client *client;
    struct pool *pool; /* of what follows */
    struct notify_request request;
    unsigned selected; /* events of the selected mailbox */
    bool delayed;      /* SELECTED-DELAYED */
    bool settling;     /* NOTIFY SET is not answered yet: all news are told */
    unsigned events;   /* of all other mailboxes */

    struct notify_seat seat;
    struct hash *subs;       /* the user's subscriptions, where they are needed; NULL */
    struct watched *watched; /* malloc'ed */
    size_t count, room;
    struct notify_link links[NOTIFY_SERVERS_MAX];
    size_t link_count;
    struct leg *home; /* of those the one with the user's subscriptions and the server's annotations; NULL */
    unsigned number;  /* of what the servers are to be told */
    bool fetch_checked;   /* it has taken the items to fetch */
    bool selected_due;    /* the selected mailbox's server is to be told, wherever that is */
    struct spread spread; /* of servers that are being told, */
    bool linking;         /* now */
    struct leg *speaker;  /* a server that is in the middle of a response, whose rest is awaited; NULL */
    int64_t speaker_until;

    bool overflowed;             /* one of them watches no more */
    bool stale;                  /* which mailboxes are watched is to be found out anew */
    struct gathering *gathering; /* which is under way; NULL */
    int64_t poll_at;

    /* The last mailbox that was renamed, by internal names: what is said of those below it, or of its old name, is no news. */
    char *renamed_from, *renamed_to;

    struct seqset own; /* messages that this session has put into the selected mailbox; in own_pool */
    struct pool *own_pool;
    struct command *sub; /* a command of our own under way, whose answer nobody hears; NULL */
};

#define NOTIFY_STATUS_INITIAL true

/* ---- notify.c ---- */

struct notify *notify_new(struct client *c);
void notify_destroy(struct notify **np);
/* Nothing is watched any more: "OK [NOTIFICATIONOVERFLOW]", and as if NOTIFY NONE had been said. */
void notify_overflow(struct notify *n);
/* A command of our own: `name` is a row of commands.def. */
struct command *notify_command(struct client *c, const char *name, const char *args);
void notify_command_free(struct command **cmd);

/* ---- notify-watch.c ---- */

/* The events that the groups want of a mailbox, by its internal name. */
unsigned notify_wanted(const struct notify *n, const char *internal);
/* Is it the one that is selected, of which SELECTED speaks? */
bool notify_is_selected(const struct notify *n, const char *internal);
/* Finds out which mailboxes are watched, a part at a time: `first` for NOTIFY SET itself, which tells what there is now only
 * with STATUS.  1: call again, others may have their turn first; 0; ERR_LIMIT: too many; or the list's error. */
int notify_evaluate(struct notify *n, bool first);
void notify_gathering_free(struct gathering **g); /* *g may be NULL */
/* Looks at the mailboxes that have changed; all of them with `all`.  True: the output is full. */
bool notify_look(struct notify *n, bool all);
/* The one of a name, or NULL. */
struct watched *notify_find(struct notify *n, const char *internal);
/* A local mailbox's state now.  0; 1: the user may not watch it any more; or an error. */
int notify_glance(struct notify *n, struct watched *w, struct leg_glance *now_r);
void notify_watched_free(struct watched *w);
/* Does it have to be looked at now and then? */
bool notify_needs_poll(const struct notify *n);

/* ---- notify-links.c ---- */

/* Which servers watch what.  0; ERR_LIMIT: too many. */
int notify_links_find(struct notify *n);
/* What they are to watch has changed. */
void notify_links_changed(struct notify *n);
/* Tells those that are due, within a command.  0; ERR_AGAIN; ERR_UNSUPPORTED, ERR_REFUSED, ERR_SYNTAX: one of them does not
 * do so.  One that is away is tried again later. */
int notify_links_run(struct notify *n, struct command *cmd);
void notify_links_stop(struct notify *n);
bool notify_links_due(const struct notify *n);
int64_t notify_links_deadline(const struct notify *n);
/* Passes on what they say.  True: the output is full. */
bool notify_links_hear(struct notify *n);

/* ---- notify-names.c ---- */

/* A subscription is there now, or gone: tells of it if that is wanted and `tell`. */
void notify_subscribed(struct notify *n, const char *internal, bool is, bool tell);

/* Reads the journal and tells.  `own`: the command whose own doings are left out; NULL. */
void notify_read_journal(struct notify *n, const struct command *own);
/* Writes a LIST response for a mailbox, or for a name that the user may know of: `lead` is "\\NoAccess " or the like. */
void notify_tell_list(struct notify *n, const char *internal, const char *lead, const char *old_name);
/* May the user know of a mailbox of this name and ACL? */
bool notify_is_visible(const struct notify *n, const char *internal, const char *acl);

#endif
