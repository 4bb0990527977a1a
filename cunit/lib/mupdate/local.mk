# unit tests of lib/mupdate
check_PROGRAMS += cunit/lib/mupdate/test
cunit_lib_mupdate_test_SOURCES = cunit/lib/mupdate/suites.c cunit/lib/mupdate/link.c cunit/lib/mupdate/wire.c
cunit_lib_mupdate_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_mupdate_test_LDADD = $(UNIT_LIBS) $(MUPDATE_LIBS)
