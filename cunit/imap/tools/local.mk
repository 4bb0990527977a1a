# unit tests of imap/tools
