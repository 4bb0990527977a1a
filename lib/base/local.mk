# lib/base: what every other room stands on.
noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_SOURCES = \
	lib/base/away.c lib/base/away.h \
	lib/base/buf.c lib/base/buf.h \
	lib/base/error.c lib/base/error.h lib/base/error.def \
	lib/base/file.c lib/base/file.h \
	lib/base/mem.c lib/base/mem.h \
	lib/base/placing.c lib/base/placing.h \
	lib/base/pool.c lib/base/pool.h \
	lib/base/stepsort.c lib/base/stepsort.h \
	lib/base/str.c lib/base/str.h \
	lib/base/ticker.c lib/base/ticker.h \
	lib/base/clock.c lib/base/clock.h \
	lib/base/config.c lib/base/config.h lib/base/config-lines.c lib/base/config-private.h \
	lib/base/digest.c lib/base/digest.h \
	lib/base/hash.c lib/base/hash.h \
	lib/base/lock.c lib/base/lock.h \
	lib/base/log.c lib/base/log.h lib/base/log-events.def lib/base/log-keys.def \
	lib/base/options.c lib/base/options.h lib/base/options-private.h \
	lib/base/options.def lib/base/options-alias.def lib/base/options-cyrus.def lib/base/options-pattern.def lib/base/options-used.def
lib_base_libbase_a_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) $(JANSSON_CFLAGS)
BASE_LIBS = lib/base/libbase.a $(OPENSSL_LIBS) $(JANSSON_LIBS)
