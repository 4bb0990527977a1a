# lib/stream: buffered streams with layers.
noinst_LIBRARIES += lib/stream/libstream.a
lib_stream_libstream_a_SOURCES = lib/stream/stream.h lib/stream/thread.c lib/stream/tls.h
lib_stream_libstream_a_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
STREAM_LIBS = lib/stream/libstream.a $(BASE_LIBS)
