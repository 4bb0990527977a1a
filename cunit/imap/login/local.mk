# unit tests of imap/login
