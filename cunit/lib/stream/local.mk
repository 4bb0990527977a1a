# unit tests of lib/stream
check_PROGRAMS += cunit/lib/stream/test
cunit_lib_stream_test_SOURCES = cunit/lib/stream/suites.c \
	cunit/lib/stream/certs.c cunit/lib/stream/certs.h \
	cunit/lib/stream/link.c cunit/lib/stream/link.h \
	cunit/lib/stream/layers.c cunit/lib/stream/pump.c cunit/lib/stream/stream.c \
	cunit/lib/stream/tickets.c cunit/lib/stream/tls.c
cunit_lib_stream_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS) $(OPENSSL_CFLAGS)
cunit_lib_stream_test_LDADD = $(UNIT_LIBS) $(STREAM_LIBS)
