# unit tests of lib/backend
check_PROGRAMS += cunit/lib/backend/test
cunit_lib_backend_test_SOURCES = cunit/lib/backend/backend.c \
	cunit/lib/backend/peer.c cunit/lib/backend/peer.h \
	cunit/lib/stream/certs.c cunit/lib/stream/link.c
cunit_lib_backend_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS) $(OPENSSL_CFLAGS)
cunit_lib_backend_test_LDADD = $(UNIT_LIBS) $(BACKEND_LIBS)
