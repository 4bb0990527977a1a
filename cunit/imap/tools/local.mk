# unit tests of imap/tools
check_PROGRAMS += cunit/imap/tools/test
cunit_imap_tools_test_SOURCES = cunit/imap/tools/imtest.c cunit/imap/tools/suites.c \
	cunit/imap/tools/tools.c imap/tools/imtest-auth.c imap/tools/imtest-protocols.c
cunit_imap_tools_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_tools_test_LDADD = $(UNIT_LIBS) $(MBOXOP_LIBS)
