/* served-store.h: an IMAP server with the store, for harnesses: fred's INBOX with some mail, a shared folder. */
#ifndef FUZZ_SERVED_STORE_H
#define FUZZ_SERVED_STORE_H

#include "imap/login/login.h"

/* As serve_begin(); every connection is this user, without a password; NULL: nobody yet. */
struct login_service *served_store_begin(void);
void served_store_user(const char *userid);

/* Empties and fills the store anew. */
void served_store_renew(void);

#endif
