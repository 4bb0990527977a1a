# unit tests of the MUPDATE server
check_PROGRAMS += cunit/mupdate/test
cunit_mupdate_test_SOURCES = cunit/mupdate/suites.c cunit/mupdate/conflicts.c cunit/mupdate/follow.c cunit/mupdate/names.c cunit/mupdate/recent.c cunit/mupdate/slave.c
cunit_mupdate_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_mupdate_test_LDADD = $(UNIT_LIBS) $(MUPDATE_SERVER_LIBS)
