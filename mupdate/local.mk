# mupdate: the MUPDATE server.
noinst_LIBRARIES += mupdate/libserver.a
mupdate_libserver_a_SOURCES = \
	mupdate/conflicts.c mupdate/conflicts.h \
	mupdate/entry.c mupdate/entry.h \
	mupdate/follow.c mupdate/follow.h \
	mupdate/front.c mupdate/front.h mupdate/front-private.h \
	mupdate/front-group.c \
	mupdate/group.c mupdate/group.h mupdate/group-private.h \
	mupdate/group-fetch.c mupdate/group-log.c mupdate/group-vote.c mupdate/group-write.c \
	mupdate/hub.c mupdate/hub.h \
	mupdate/journal.c mupdate/journal.h \
	mupdate/lanes.c mupdate/lanes.h \
	mupdate/meta.c mupdate/meta.h \
	mupdate/names.c mupdate/names.h mupdate/names-private.h \
	mupdate/names-copy.c mupdate/names-group.c \
	mupdate/peer.c mupdate/peer.h \
	mupdate/raft.c mupdate/raft.h \
	mupdate/recent.c mupdate/recent.h \
	mupdate/slave.c mupdate/slave.h \
	mupdate/source.h mupdate/transitions.def \
	mupdate/takeover.c mupdate/takeover.h \
	mupdate/writer.c mupdate/writer.h
MUPDATE_SERVER_LIBS = mupdate/libserver.a $(LOGIN_LIBS) $(MBOXLIST_LIBS) $(MUPDATE_LIBS) $(DB_LIBS)

libexec_PROGRAMS += mupdate/mupdate
mupdate_mupdate_SOURCES = mupdate/main.c
mupdate_mupdate_LDADD = $(SERVICE_LIBS) $(MUPDATE_SERVER_LIBS)
EXTRA_DIST += doc/formats/mupdate.md doc/protocols/mupdate.md doc/protocols/mupdate-group.md
