# Unit tests: cunit/ mirrors the tree, a program a room, a suite a file.
noinst_LIBRARIES += cunit/libunit.a
cunit_libunit_a_SOURCES = cunit/unit.c cunit/unit.h
cunit_libunit_a_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
UNIT_LIBS = cunit/libunit.a $(CUNIT_LIBS)

check_PROGRAMS += cunit/lib/base/test
cunit_lib_base_test_SOURCES = cunit/lib/base/suites.c \
	cunit/lib/base/away.c cunit/lib/base/buf.c cunit/lib/base/config.c cunit/lib/base/digest.c cunit/lib/base/hash.c \
	cunit/lib/base/lock.c cunit/lib/base/log.c cunit/lib/base/placing.c cunit/lib/base/pool.c cunit/lib/base/stepsort.c cunit/lib/base/str.c cunit/lib/base/ticker.c
cunit_lib_base_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_base_test_LDADD = $(UNIT_LIBS) $(BASE_LIBS)
