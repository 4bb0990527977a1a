# unit tests of imap/sievehost
check_PROGRAMS += cunit/imap/sievehost/test
cunit_imap_sievehost_test_SOURCES = cunit/imap/sievehost/suites.c \
	cunit/imap/sievehost/compose.c cunit/imap/sievehost/courier.c cunit/imap/sievehost/memory.c \
	cunit/imap/sievehost/place.c cunit/imap/sievehost/place.h \
	cunit/imap/sievehost/scores.c cunit/imap/sievehost/scripts.c
cunit_imap_sievehost_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_sievehost_test_LDADD = $(UNIT_LIBS) $(SIEVEHOST_LIBS)
