# lib/stream: buffered streams with layers.
noinst_LIBRARIES += lib/stream/libstream.a
lib_stream_libstream_a_SOURCES = \
	lib/stream/block.c lib/stream/block.h \
	lib/stream/deflate.c \
	lib/stream/pump.c \
	lib/stream/stream.c lib/stream/stream.h lib/stream/stream-private.h \
	lib/stream/thread.c \
	lib/stream/tls.c lib/stream/tls.h \
	lib/stream/tls-layer.c \
	lib/stream/tls-options.c \
	lib/stream/tls-tickets.c lib/stream/tls-tickets.h
lib_stream_libstream_a_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) $(ZLIB_CFLAGS)
STREAM_LIBS = lib/stream/libstream.a $(BASE_LIBS) $(OPENSSL_LIBS) $(ZLIB_LIBS)
EXTRA_DIST += doc/protocols/tls-tickets.md
