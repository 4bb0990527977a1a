# unit tests of imap/local
