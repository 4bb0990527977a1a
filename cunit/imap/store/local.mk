# unit tests of imap/store
check_PROGRAMS += cunit/imap/store/test
cunit_imap_store_test_SOURCES = cunit/imap/store/suites.c \
	cunit/imap/store/fixture.c cunit/imap/store/fixture.h \
	cunit/imap/store/annotate.c cunit/imap/store/append.c \
	cunit/imap/store/crash.c \
	cunit/imap/store/damage.c \
	cunit/imap/store/flags.c \
	cunit/imap/store/format.c \
	cunit/imap/store/listed.c \
	cunit/imap/store/metadata.c \
	cunit/imap/store/metapartition.c \
	cunit/imap/store/order.c \
	cunit/imap/store/relocate.c \
	cunit/imap/store/replace.c \
	cunit/imap/store/search.c \
	cunit/imap/store/uidset.c \
	cunit/imap/store/unexpunge.c \
	cunit/imap/store/vanished.c \
	cunit/imap/store/view.c
cunit_imap_store_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_store_test_LDADD = $(UNIT_LIBS) $(STORE_LIBS)
EXTRA_DIST += cunit/imap/store/golden.txt
TESTS += cunit/imap/store/test-metapartition
EXTRA_DIST += cunit/imap/store/test-metapartition

# in a program of its own: its write(2) and its like are not libc's
check_PROGRAMS += cunit/imap/store/power/test
cunit_imap_store_power_test_SOURCES = cunit/imap/store/power/suites.c \
	cunit/imap/store/fixture.c cunit/imap/store/fixture.h \
	cunit/imap/store/power/disk.c cunit/imap/store/power/disk.h \
	cunit/imap/store/power/power.c \
	cunit/imap/store/power/trace.c cunit/imap/store/power/trace.h
cunit_imap_store_power_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_store_power_test_LDADD = $(UNIT_LIBS) $(STORE_LIBS)
