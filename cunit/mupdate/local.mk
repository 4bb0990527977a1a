# unit tests of the MUPDATE server
check_PROGRAMS += cunit/mupdate/test
cunit_mupdate_test_SOURCES = cunit/mupdate/suites.c cunit/mupdate/conflicts.c cunit/mupdate/follow.c cunit/mupdate/journal.c cunit/mupdate/names.c \
	cunit/mupdate/names-group.c cunit/mupdate/raft.c cunit/mupdate/raft-node.c cunit/mupdate/raft-world.c \
	cunit/mupdate/raft-world.h cunit/mupdate/raft-world-private.h cunit/mupdate/recent.c cunit/mupdate/slave.c \
	cunit/mupdate/takeover.c
cunit_mupdate_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_mupdate_test_LDADD = $(UNIT_LIBS) $(MUPDATE_SERVER_LIBS)
