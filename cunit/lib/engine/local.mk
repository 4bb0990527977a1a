# unit tests of lib/engine
check_PROGRAMS += cunit/lib/engine/test
cunit_lib_engine_test_SOURCES = cunit/lib/engine/suites.c \
	cunit/lib/engine/helper.c cunit/lib/engine/helper.h \
	cunit/lib/engine/layers.c cunit/lib/engine/parked.c cunit/lib/engine/session.c cunit/lib/engine/stress.c \
	cunit/lib/engine/workers.c cunit/lib/stream/certs.c cunit/lib/stream/certs.h cunit/lib/stream/link.c \
	cunit/lib/stream/link.h
cunit_lib_engine_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS) $(OPENSSL_CFLAGS)
cunit_lib_engine_test_LDADD = $(UNIT_LIBS) $(ENGINE_LIBS)
