# unit tests of imap/proxy
