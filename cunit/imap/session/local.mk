# unit tests of imap/session
check_PROGRAMS += cunit/imap/session/test
cunit_imap_session_test_SOURCES = cunit/imap/session/suites.c \
	cunit/imap/session/annotate.c cunit/imap/session/append.c cunit/imap/session/capability.c cunit/imap/session/commands.c \
	cunit/imap/session/input.c cunit/imap/session/metadata.c cunit/imap/session/notify.c cunit/imap/session/list.c \
	cunit/imap/session/select-params.c cunit/imap/session/sources.c cunit/imap/session/spread.c
cunit_imap_session_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_session_test_LDADD = $(UNIT_LIBS) $(SESSION_LIBS)
