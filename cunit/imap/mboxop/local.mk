# unit tests of imap/mboxop
check_PROGRAMS += cunit/imap/mboxop/test
cunit_imap_mboxop_test_SOURCES = cunit/imap/mboxop/suites.c \
	cunit/imap/mboxop/fake.c cunit/imap/mboxop/fake.h \
	cunit/imap/mboxop/here.c \
	cunit/imap/mboxop/kill.c \
	cunit/imap/mboxop/node.c cunit/imap/mboxop/node.h \
	cunit/imap/mboxop/ops.c cunit/imap/mboxop/permit.c cunit/imap/mboxop/push.c
cunit_imap_mboxop_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_mboxop_test_LDADD = $(UNIT_LIBS) $(MBOXOP_LIBS)
