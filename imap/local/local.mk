# imap/local: a leg over the store.
noinst_LIBRARIES += imap/local/liblocal.a
imap_local_liblocal_a_SOURCES = \
	imap/local/annotate.c imap/local/annotate.h \
	imap/local/annotation.c \
	imap/local/append.c \
	imap/local/copy.c \
	imap/local/events.c \
	imap/local/expunge.c \
	imap/local/fetch-binary.c imap/local/fetch-binary.h \
	imap/local/fetch-parse.c imap/local/fetch.c imap/local/fetch.h \
	imap/local/flags.c \
	imap/local/leg.c \
	imap/local/local.h imap/local/local-private.h \
	imap/local/metadata.c \
	imap/local/names.c imap/local/newcomer.c imap/local/notify.c \
	imap/local/peer.c \
	imap/local/preview.c imap/local/preview.h \
	imap/local/quota.c \
	imap/local/reader.c \
	imap/local/resync.c \
	imap/local/search.c imap/local/search.h imap/local/search-parse.c imap/local/search-return.c imap/local/search-run.c \
	imap/local/esearch.c \
	imap/local/sort.c imap/local/sort.h imap/local/sort-order.c \
	imap/local/thread.c \
	imap/local/select.c \
	imap/local/status.c \
	imap/local/subs.c
LOCAL_LIBS = imap/local/liblocal.a $(SESSION_LIBS) $(SIEVEHOST_LIBS) $(MBOXOP_LIBS) $(STORE_LIBS) $(MUPDATE_LIBS)
