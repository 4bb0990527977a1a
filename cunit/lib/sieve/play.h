/* play.h: runs scripts on messages in a world of the test's own, and shows what comes of it in a line. */
#ifndef CUNIT_LIB_SIEVE_PLAY_H
#define CUNIT_LIB_SIEVE_PLAY_H

#include "lib/sieve/sieve.h"

/* One run; what is NULL or 0 has a default. */
struct play {
    const char *script;
    const char *message; /* bare line feeds become CRLF */
    const char *from, *to;
    const struct sieve_host *host;
    const char *flags; /* of a message that is in a mailbox (RFC 6785); then they are shown behind " = " */
};

/* "keep fileinto:Junk[\Seen]!create redirect:a@b; ..." in malloc'ed memory; "line 3: ..." for a script that does not
 * compile, "line 3: ... / keep*" for one that fails (* marks the implicit keep). */
char *play(const struct play *play);

/* Asserts what play() shows, and says both if they differ. */
void play_expect(const struct play *play, const char *want);
/* The same for tests in a table: `if TEST { keep; } else { discard; }` with everything required. */
void play_test(const char *test, const char *message, bool want);

/* A world with some of everything: mailboxes INBOX, Junk and Sent (\Sent, id "M1"), annotations, an environment,
 * scripts to include, lists; the time is Sat, 21 Nov 2026 12:00:00 +0000. */
extern const struct sieve_host play_world;
/* Frees the scripts that the world has compiled. */
void play_forget(void);
extern const char play_requires[]; /* require of everything but ihave and encoded-character */
extern const char play_message[];

#endif
