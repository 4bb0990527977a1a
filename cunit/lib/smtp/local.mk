# unit tests of lib/smtp
