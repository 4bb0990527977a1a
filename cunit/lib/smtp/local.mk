# unit tests of lib/smtp
check_PROGRAMS += cunit/lib/smtp/test
cunit_lib_smtp_test_SOURCES = cunit/lib/smtp/suites.c cunit/lib/smtp/lmtp.c cunit/lib/smtp/reply.c
cunit_lib_smtp_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_smtp_test_LDADD = $(UNIT_LIBS) $(SMTP_LIBS)
