# unit tests of imap/managesieve
check_PROGRAMS += cunit/imap/managesieve/test
cunit_imap_managesieve_test_SOURCES = cunit/imap/managesieve/suites.c cunit/imap/managesieve/parse.c
cunit_imap_managesieve_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_managesieve_test_LDADD = $(UNIT_LIBS) $(MANAGESIEVE_LIBS)
