# unit tests of lib/sieve
check_PROGRAMS += cunit/lib/sieve/test
cunit_lib_sieve_test_SOURCES = cunit/lib/sieve/suites.c cunit/lib/sieve/play.c cunit/lib/sieve/play-world.c cunit/lib/sieve/play.h \
	cunit/lib/sieve/actions.c cunit/lib/sieve/compile.c cunit/lib/sieve/control.c cunit/lib/sieve/limits.c \
	cunit/lib/sieve/match.c cunit/lib/sieve/message.c cunit/lib/sieve/print.c cunit/lib/sieve/world.c
cunit_lib_sieve_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_sieve_test_LDADD = $(UNIT_LIBS) $(SIEVE_LIBS)
