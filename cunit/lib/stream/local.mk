# unit tests of lib/stream
