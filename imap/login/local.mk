# imap/login: greeting, STARTTLS, AUTHENTICATE, ID: every protocol.
EXTRA_DIST += imap/login/login.h
