# unit tests of lib/db; IATLAS_KILLS=n in the environment makes the kill test longer
check_PROGRAMS += cunit/lib/db/test
cunit_lib_db_test_SOURCES = cunit/lib/db/suites.c cunit/lib/db/db.c cunit/lib/db/kill.c
cunit_lib_db_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_db_test_LDADD = $(UNIT_LIBS) $(DB_LIBS)
