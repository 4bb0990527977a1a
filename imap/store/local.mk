# imap/store: mailbox files.
