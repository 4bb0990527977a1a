# unit tests of lib/event
