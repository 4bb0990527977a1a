# unit tests of lib/db
