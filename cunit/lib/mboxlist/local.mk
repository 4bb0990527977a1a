# unit tests of lib/mboxlist
check_PROGRAMS += cunit/lib/mboxlist/test
cunit_lib_mboxlist_test_SOURCES = cunit/lib/mboxlist/suites.c cunit/lib/mboxlist/fixture.c \
	cunit/lib/mboxlist/fixture.h cunit/lib/mboxlist/annotations.c cunit/lib/mboxlist/beside.c cunit/lib/mboxlist/dump.c \
	cunit/lib/mboxlist/iter.c cunit/lib/mboxlist/journal.c cunit/lib/mboxlist/list.c cunit/lib/mboxlist/remote.c \
	cunit/lib/mboxlist/special-use.c
cunit_lib_mboxlist_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_mboxlist_test_LDADD = $(UNIT_LIBS) $(MBOXLIST_LIBS)
