# imap/sievehost: performs what a Sieve script decided.
noinst_LIBRARIES += imap/sievehost/libsievehost.a
imap_sievehost_libsievehost_a_SOURCES = \
	imap/sievehost/compiled.c imap/sievehost/compiled.h \
	imap/sievehost/files.c imap/sievehost/files-private.h \
	imap/sievehost/language.c imap/sievehost/language-private.h \
	imap/sievehost/scripts.c imap/sievehost/scripts.h
SIEVEHOST_LIBS = imap/sievehost/libsievehost.a $(SIEVE_LIBS) $(MBOXOP_LIBS) $(BACKEND_LIBS) $(SMTP_LIBS)
EXTRA_DIST += doc/formats/sieve-scripts.md
