# unit tests of lib/charset
