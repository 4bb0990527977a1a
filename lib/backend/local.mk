# lib/backend: connections to other servers.
noinst_LIBRARIES += lib/backend/libbackend.a
lib_backend_libbackend_a_SOURCES = \
	lib/backend/address.c \
	lib/backend/auth.c \
	lib/backend/backend.c lib/backend/backend.h lib/backend/backend-private.h \
	lib/backend/backoff.c \
	lib/backend/imap.c \
	lib/backend/lines.c lib/backend/lines.h \
	lib/backend/lmtp.c \
	lib/backend/mupdate.c \
	lib/backend/pool.c lib/backend/pool.h \
	lib/backend/sieve.c
BACKEND_LIBS = lib/backend/libbackend.a $(IMAPWIRE_LIBS) $(SMTP_LIBS) $(SASL_ROOM_LIBS) $(STREAM_LIBS)
