# unit tests of imap/mboxop
check_PROGRAMS += cunit/imap/mboxop/test
cunit_imap_mboxop_test_SOURCES = cunit/imap/mboxop/suites.c \
	cunit/imap/mboxop/adopt.c \
	cunit/imap/mboxop/fake.c cunit/imap/mboxop/fake.h \
	cunit/imap/mboxop/here.c \
	cunit/imap/mboxop/kill.c \
	cunit/imap/mboxop/node.c cunit/imap/mboxop/node.h \
	cunit/imap/mboxop/ops.c cunit/imap/mboxop/permit.c cunit/imap/mboxop/push.c \
	cunit/imap/mboxop/random.c \
	cunit/imap/store/fixture.c cunit/imap/store/fixture.h
cunit_imap_mboxop_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_mboxop_test_LDADD = $(UNIT_LIBS) $(MBOXOP_LIBS)

# in a program of its own, as cunit/imap/store/power
check_PROGRAMS += cunit/imap/mboxop/power/test
cunit_imap_mboxop_power_test_SOURCES = cunit/imap/mboxop/power/suites.c \
	cunit/imap/mboxop/power/power.c \
	cunit/imap/mboxop/fake.c cunit/imap/mboxop/fake.h \
	cunit/imap/mboxop/node.c cunit/imap/mboxop/node.h \
	cunit/imap/store/fixture.c cunit/imap/store/fixture.h \
	cunit/imap/store/power/disk.c cunit/imap/store/power/disk.h \
	cunit/imap/store/power/trace.c cunit/imap/store/power/trace.h
cunit_imap_mboxop_power_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_mboxop_power_test_LDADD = $(UNIT_LIBS) $(MBOXOP_LIBS)
