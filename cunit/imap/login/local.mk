# unit tests of imap/login
check_PROGRAMS += cunit/imap/login/test
cunit_imap_login_test_SOURCES = cunit/imap/login/login.c \
	cunit/imap/login/proxy-header.c \
	cunit/imap/login/tally.c \
	cunit/imap/login/toy.c cunit/imap/login/toy.h \
	cunit/lib/stream/certs.c cunit/lib/stream/certs.h
cunit_imap_login_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS) $(OPENSSL_CFLAGS)
cunit_imap_login_test_LDADD = $(UNIT_LIBS) $(LOGIN_LIBS)
