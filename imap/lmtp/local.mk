# imap/lmtp: LMTP: engine, local delivery, relay.
