# unit tests of lib/mail
