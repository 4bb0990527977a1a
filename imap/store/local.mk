# imap/store: mailbox files.
noinst_LIBRARIES += imap/store/libstore.a
imap_store_libstore_a_SOURCES = \
	imap/store/annotate.c imap/store/annotate.h imap/store/annotate-private.h \
	imap/store/annotate-code.c imap/store/annotate-file.c imap/store/annotate-rekey.c \
	imap/store/append.c imap/store/append.h \
	imap/store/arrive.c imap/store/arrive-private.h \
	imap/store/cache.c imap/store/cache-entry.def \
	imap/store/check.c \
	imap/store/codec.c imap/store/codec.h \
	imap/store/compact.c \
	imap/store/copy.c imap/store/copy.h \
	imap/store/entries.c imap/store/entries.def imap/store/entry-value.c imap/store/metadata.h \
	imap/store/expunge.c imap/store/expunge.h \
	imap/store/files.c \
	imap/store/flags.c imap/store/flags.h \
	imap/store/freespace.c \
	imap/store/kept.c imap/store/kept.h \
	imap/store/links.c imap/store/links.h \
	imap/store/index.c imap/store/index-header.def imap/store/index-record.def \
	imap/store/le-private.h \
	imap/store/listed.c imap/store/listed.h \
	imap/store/mailbox.c imap/store/mailbox.h imap/store/mailbox-private.h \
	imap/store/message.c imap/store/message.h \
	imap/store/order.c imap/store/order.h \
	imap/store/quota.c imap/store/quota.h \
	imap/store/record.c imap/store/record.h imap/store/record-flags.def \
	imap/store/recover.c imap/store/recover.h \
	imap/store/reconstruct.c \
	imap/store/refresh.c \
	imap/store/relocate.c imap/store/relocate.h \
	imap/store/replace.c imap/store/replace-private.h \
	imap/store/rewrite.c \
	imap/store/search.c imap/store/search.h imap/store/search-private.h imap/store/search-annotation.c imap/store/search-text.c \
	imap/store/seen.c imap/store/seen.h \
	imap/store/specialuse.c \
	imap/store/stage-encode.c \
	imap/store/stage.c imap/store/stage.h imap/store/stage-private.h \
	imap/store/store.c imap/store/store.h imap/store/store-private.h \
	imap/store/uidset.c imap/store/uidset.h \
	imap/store/unexpunge.c imap/store/unexpunge.h \
	imap/store/view.c imap/store/view.h imap/store/view-private.h imap/store/view-seen.c \
	imap/store/vanished.c \
	imap/store/write.c
STORE_LIBS = imap/store/libstore.a $(MBOXLIST_LIBS) $(MAIL_LIBS) $(NAME_LIBS) $(DB_LIBS) $(BASE_LIBS)
EXTRA_DIST += doc/formats/mailbox.md doc/formats/seen.md
