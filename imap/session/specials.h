/* specials.h: the special uses of a user's own mailboxes on other servers, whose list entries here do not tell them. */
#ifndef IMAP_SESSION_SPECIALS_H
#define IMAP_SESSION_SPECIALS_H

#include "imap/session/spread.h"

struct hash;

struct specials {
    struct spread spread;
    struct hash *uses; /* internal name -> uses */
    struct command *cmd;
};

/* Finds the servers that have mailboxes of the user's; `except` (NULL: none) is not asked.  0, or a database's error. */
int specials_begin(struct specials *s, struct command *cmd, const struct leg *except);
/* Asks them.  0: all that could be learnt is in `uses`, of a server that is away nothing; ERR_AGAIN: call again. */
int specials_run(struct specials *s);
void specials_free(struct specials *s);

/* The uses of a mailbox; "": none, or it was not asked for. */
const char *specials_of(const struct specials *s, const char *internal);
/* Is one of these uses among them? */
bool specials_have(const struct specials *s, const char *uses);

#endif
