# unit tests of imap/lmtp
check_PROGRAMS += cunit/imap/lmtp/engine/test
cunit_imap_lmtp_engine_test_SOURCES = cunit/imap/lmtp/engine/suites.c \
	cunit/imap/lmtp/engine/address.c cunit/imap/lmtp/engine/data.c
cunit_imap_lmtp_engine_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_lmtp_engine_test_LDADD = $(UNIT_LIBS) $(LMTP_ENGINE_LIBS)
