# imap/store: mailbox files.
noinst_LIBRARIES += imap/store/libstore.a
imap_store_libstore_a_SOURCES = \
	imap/store/append.h imap/store/cache-entry.def imap/store/copy.h imap/store/expunge.h \
	imap/store/flags.h imap/store/index-header.def imap/store/index-record.def \
	imap/store/mailbox.h imap/store/message.h imap/store/quota.h imap/store/record.h \
	imap/store/record-flags.def imap/store/recover.h imap/store/search.h imap/store/seen.h \
	imap/store/stage.h imap/store/store.h imap/store/view.h \
	imap/store/uidset.c imap/store/uidset.h
STORE_LIBS = imap/store/libstore.a $(MBOXLIST_LIBS) $(MAIL_LIBS) $(NAME_LIBS) $(DB_LIBS) $(BASE_LIBS)
EXTRA_DIST += doc/formats/mailbox.md
