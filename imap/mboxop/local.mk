# imap/mboxop: operations on mailbox names, with MUPDATE.
noinst_LIBRARIES += imap/mboxop/libmboxop.a
imap_mboxop_libmboxop_a_SOURCES = \
	imap/mboxop/adopt.c \
	imap/mboxop/authority.c \
	imap/mboxop/autocreate.c imap/mboxop/autocreate.h \
	imap/mboxop/changes.c \
	imap/mboxop/create.c \
	imap/mboxop/delete.c \
	imap/mboxop/locks.c \
	imap/mboxop/mboxop.h \
	imap/mboxop/move.c \
	imap/mboxop/op.c imap/mboxop/op-private.h \
	imap/mboxop/partition.c \
	imap/mboxop/permit.c \
	imap/mboxop/publish.c \
	imap/mboxop/push.c imap/mboxop/push.h \
	imap/mboxop/recover.c \
	imap/mboxop/rename.c \
	imap/mboxop/scripts.c \
	imap/mboxop/setacl.c \
	imap/mboxop/setquota.c
MBOXOP_LIBS = imap/mboxop/libmboxop.a $(STORE_LIBS) $(MUPDATE_LIBS) $(MBOXLIST_LIBS)
EXTRA_DIST += doc/formats/locks.md
