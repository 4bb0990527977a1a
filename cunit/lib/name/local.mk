# unit tests of lib/name
