# unit tests of imap/lmtp
check_PROGRAMS += cunit/imap/lmtp/engine/test
cunit_imap_lmtp_engine_test_SOURCES = cunit/imap/lmtp/engine/suites.c \
	cunit/imap/lmtp/engine/address.c cunit/imap/lmtp/engine/data.c cunit/imap/lmtp/engine/header.c
cunit_imap_lmtp_engine_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_lmtp_engine_test_LDADD = $(UNIT_LIBS) $(LMTP_ENGINE_LIBS)

check_PROGRAMS += cunit/imap/lmtp/relay/test
cunit_imap_lmtp_relay_test_SOURCES = cunit/imap/lmtp/relay/suites.c cunit/imap/lmtp/relay/spool.c
cunit_imap_lmtp_relay_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_lmtp_relay_test_LDADD = $(UNIT_LIBS) $(LMTP_RELAY_LIBS)

check_PROGRAMS += cunit/imap/lmtp/local/test
cunit_imap_lmtp_local_test_SOURCES = cunit/imap/lmtp/local/suites.c cunit/imap/lmtp/local/duplicate.c
cunit_imap_lmtp_local_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_lmtp_local_test_LDADD = $(UNIT_LIBS) $(LMTP_LOCAL_LIBS)
