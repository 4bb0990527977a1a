# unit tests of imap/mboxop
