/* address.h: the paths of MAIL and RCPT (RFC 5321 section 4.1.2), and the mailboxes that a recipient means.
 *
 *     fred                     fred's INBOX
 *     fred+lists.cyrus         fred's folder lists.cyrus, else INBOX
 *     fred@example.org         the domain counts with virtdomains only; @internal never (a frontend's)
 *     +archive.cyrus           the shared folder; also postuser+archive.cyrus (option postuser)
 *     "fred f"+x, "fred f+x"   quoting as in RFC 5321 */
#ifndef IMAP_LMTP_ENGINE_ADDRESS_H
#define IMAP_LMTP_ENGINE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/name/name-config.h"

enum { LMTPD_PATH_MAX = 1024 }; /* RFC 5321 section 4.5.3.1.3 asks for 256 */

/* A path with its brackets at s: appends what is between them without a source route, quotes as they
 * stand; "" for the null path.  *used_r: bytes, brackets included.  0; ERR_SYNTAX; ERR_TOOBIG. */
int lmtpd_path_parse(const char *s, size_t n, struct buf *path, size_t *used_r);

/* What the administrator says about recipients. */
struct lmtpd_naming {
    const struct name_config *names;
    bool downcase;        /* lmtp_downcase_rcpt */
    const char *postuser; /* "" for none */
};

/* A recipient; strings in the pool. */
struct lmtpd_names {
    const char *userid;  /* canonical; NULL: a shared folder */
    const char *detail;  /* behind the first '+', as given; NULL: none */
    const char *mailbox; /* internal name: the user's INBOX, or the shared folder */
    const char *folder;  /* internal name that the detail of a user's address means; NULL: none, or no
                            mailbox can be called so */
    const char *forward; /* the address as a frontend gives it to a backend: user+detail@internal */
};

/* 0; ERR_BADNAME: nobody can be called so; ERR_SYNTAX. */
int lmtpd_names_resolve(const struct lmtpd_naming *naming, struct pool *pool, const char *path,
                        struct lmtpd_names *names_r);

#endif
