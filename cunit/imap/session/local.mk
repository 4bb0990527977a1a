# unit tests of imap/session
