# unit tests of master, and the service that tests/test_master.py runs
check_PROGRAMS += cunit/master/test
cunit_master_test_SOURCES = cunit/master/suites.c cunit/master/conf.c cunit/master/cron.c \
	cunit/master/listen.c cunit/master/rate.c cunit/master/status-pipe.c
cunit_master_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_master_test_LDADD = $(UNIT_LIBS) $(MASTER_LIBS)

noinst_PROGRAMS += tests/helpers/echod
tests_helpers_echod_SOURCES = tests/helpers/echod.c
tests_helpers_echod_LDADD = $(SERVICE_LIBS)
