# unit tests of imap/local (the commands are tested end to end: tests/test_imap_*.py)
check_PROGRAMS += cunit/imap/local/test
cunit_imap_local_test_SOURCES = cunit/imap/local/suites.c cunit/imap/local/fetch.c \
	cunit/imap/local/preview.c cunit/imap/local/search.c
cunit_imap_local_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_local_test_LDADD = $(UNIT_LIBS) $(LOCAL_LIBS)
