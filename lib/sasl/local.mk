# lib/sasl: SASL, server and client sides: the only includer of sasl/.
# (SASL_LIBS is libsasl2 itself, by pkg-config.)
noinst_LIBRARIES += lib/sasl/libsasl.a
lib_sasl_libsasl_a_SOURCES = \
	lib/sasl/client.c lib/sasl/client.h \
	lib/sasl/init.c lib/sasl/init.h \
	lib/sasl/layer.h lib/sasl/sasl-private.h \
	lib/sasl/server.c lib/sasl/server.h
lib_sasl_libsasl_a_CPPFLAGS = $(AM_CPPFLAGS) $(SASL_CFLAGS)
SASL_ROOM_LIBS = lib/sasl/libsasl.a $(BASE_LIBS) $(SASL_LIBS)
