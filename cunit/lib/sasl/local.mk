# unit tests of lib/sasl
check_PROGRAMS += cunit/lib/sasl/test
cunit_lib_sasl_test_SOURCES = cunit/lib/sasl/sasl.c
cunit_lib_sasl_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_sasl_test_LDADD = $(UNIT_LIBS) $(SASL_ROOM_LIBS)
