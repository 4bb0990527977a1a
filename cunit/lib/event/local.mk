# unit tests of lib/event
check_PROGRAMS += cunit/lib/event/test
cunit_lib_event_test_SOURCES = cunit/lib/event/suites.c cunit/lib/event/loop.c
cunit_lib_event_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_event_test_LDADD = $(UNIT_LIBS) $(EVENT_LIBS)
