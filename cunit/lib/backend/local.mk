# unit tests of lib/backend
