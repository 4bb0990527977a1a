# imap/sievehost: performs what a Sieve script decided.
noinst_LIBRARIES += imap/sievehost/libsievehost.a
imap_sievehost_libsievehost_a_SOURCES = \
	imap/sievehost/annotations.c \
	imap/sievehost/ask.c imap/sievehost/host-private.h \
	imap/sievehost/compiled.c imap/sievehost/compiled.h \
	imap/sievehost/compose.c imap/sievehost/compose.h \
	imap/sievehost/courier.c imap/sievehost/courier.h \
	imap/sievehost/files.c imap/sievehost/files-private.h \
	imap/sievehost/imapsieve.c imap/sievehost/imapsieve.h \
	imap/sievehost/job.c imap/sievehost/sievehost.h \
	imap/sievehost/language.c imap/sievehost/language-private.h \
	imap/sievehost/lists.c \
	imap/sievehost/mailboxes.c \
	imap/sievehost/memory.c imap/sievehost/memory.h \
	imap/sievehost/outgoing.c imap/sievehost/outgoing.h \
	imap/sievehost/perform.c \
	imap/sievehost/remote.c imap/sievehost/remote.h \
	imap/sievehost/scores.c imap/sievehost/scores.h \
	imap/sievehost/scripts.c imap/sievehost/scripts.h
SIEVEHOST_LIBS = imap/sievehost/libsievehost.a $(SIEVE_LIBS) $(MBOXOP_LIBS) $(BACKEND_LIBS) $(SMTP_LIBS)
EXTRA_DIST += doc/protocols/imap.md doc/formats/sieve-memory.md doc/formats/sieve-scripts.md
