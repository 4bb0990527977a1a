# lib/mboxlist: the mailbox list.
noinst_LIBRARIES += lib/mboxlist/libmboxlist.a
lib_mboxlist_libmboxlist_a_SOURCES = \
	lib/mboxlist/annotations.c lib/mboxlist/annotations.h \
	lib/mboxlist/dump.c lib/mboxlist/dump.h \
	lib/mboxlist/intent.c lib/mboxlist/intent.h \
	lib/mboxlist/iter.c \
	lib/mboxlist/ids.c lib/mboxlist/ids.h \
	lib/mboxlist/inbox-rights.c lib/mboxlist/inbox-rights.h \
	lib/mboxlist/journal.c lib/mboxlist/journal.h \
	lib/mboxlist/key.c lib/mboxlist/key.h \
	lib/mboxlist/mboxlist.c lib/mboxlist/mboxlist.h lib/mboxlist/mboxlist-private.h \
	lib/mboxlist/quota.c lib/mboxlist/quota.h \
	lib/mboxlist/record.c lib/mboxlist/record.h \
	lib/mboxlist/remote.c lib/mboxlist/remote.h \
	lib/mboxlist/special-use.c lib/mboxlist/special-use.h \
	lib/mboxlist/subs.c lib/mboxlist/subs.h \
	lib/mboxlist/volatile.c
lib_mboxlist_libmboxlist_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
MBOXLIST_LIBS = lib/mboxlist/libmboxlist.a $(DB_LIBS) $(NAME_LIBS)
EXTRA_DIST += doc/formats/mailboxes.md
