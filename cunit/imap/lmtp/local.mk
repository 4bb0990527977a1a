# unit tests of imap/lmtp
