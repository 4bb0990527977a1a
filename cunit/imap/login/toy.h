/* toy.h: a toy protocol over imap/login, its server on loopback, and a client to talk to it.
 *
 * Lines; before login: CAPA, STARTTLS, AUTH mech [initial], LOGIN user password, PRE (see below),
 * QUIT; afterwards: WHO, SHOW mailbox, WAIT ms (the inactivity allowed), FLOOD
 * (more than the client takes at once), QUIT. */
#ifndef CUNIT_IMAP_LOGIN_TOY_H
#define CUNIT_IMAP_LOGIN_TOY_H

#include <stdbool.h>

struct stream;

/* Writes imapd.conf (these lines after those that all tests share) and starts the server.  The
 * names in sasldb: fred/secret, fred@example.org/secret, murder/geheim (a proxyserver), murder@example.org/geheim,
 * cyrus/admin (an administrator), lazy/lazy whom authorize() refuses. */
void toy_start(const char *more, bool tls_always);
/* imapd.conf alone, read. */
void toy_configure(const char *more);
/* As toy_start, with these milliseconds to log in and for a TLS handshake (0: what they are). */
void toy_start_impatient(const char *more, bool tls_always, int login_ms, int handshake_ms);
/* As toy_start, the greeting authenticates as "postman". */
void toy_start_preauth(void);
/* Drains and ends it: CU_ASSERTs that no session is left. */
void toy_stop(void);
/* Ends all sessions and leaves the server there for toy_stop(). */
void toy_drain(void);
/* configdirectory of the test. */
const char *toy_dir(void);

/* A connection; the greeting is not read yet. */
struct stream *toy_connect(void);
/* TLS on it, verified against the test's authority. */
void toy_tls(struct stream *s);
void toy_say(struct stream *s, const char *text);
/* The next line, "<closed>" at the end; static storage. */
const char *toy_line(struct stream *s);
/* Says a line and gives the answer. */
const char *toy_ask(struct stream *s, const char *line);

#endif
