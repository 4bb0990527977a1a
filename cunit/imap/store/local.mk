# unit tests of imap/store
