# imap/local: a leg over the store, and imapd.
