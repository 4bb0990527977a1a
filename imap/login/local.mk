# imap/login: greeting, STARTTLS, AUTHENTICATE, ID: every protocol.
