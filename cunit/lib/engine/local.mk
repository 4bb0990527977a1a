# unit tests of lib/engine
