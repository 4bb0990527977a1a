# imap/managesieve: ManageSieve (RFC 5804): timsieved.
noinst_LIBRARIES += imap/managesieve/libmanagesieve.a
imap_managesieve_libmanagesieve_a_SOURCES = \
	imap/managesieve/front.c imap/managesieve/front.h imap/managesieve/front-private.h \
	imap/managesieve/parse.c imap/managesieve/parse.h \
	imap/managesieve/relay.c imap/managesieve/relay.h \
	imap/managesieve/reply.c \
	imap/managesieve/scripts.c
MANAGESIEVE_LIBS = imap/managesieve/libmanagesieve.a $(LOGIN_LIBS) $(SIEVEHOST_LIBS) $(MUPDATE_LIBS) $(BACKEND_LIBS) \
	$(MBOXLIST_LIBS)

libexec_PROGRAMS += imap/managesieve/timsieved
imap_managesieve_timsieved_SOURCES = imap/managesieve/timsieved.c
imap_managesieve_timsieved_LDADD = $(MANAGESIEVE_LIBS) $(SERVICE_LIBS)
