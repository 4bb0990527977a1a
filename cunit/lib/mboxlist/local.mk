# unit tests of lib/mboxlist
