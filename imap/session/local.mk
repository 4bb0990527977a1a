# imap/session: the IMAP front.
