# unit tests of imap/proxy (the rest is tested end to end: tests/test_proxy_*.py, tests/test_murder.py)
check_PROGRAMS += cunit/imap/proxy/test
cunit_imap_proxy_test_SOURCES = cunit/imap/proxy/suites.c cunit/imap/proxy/offers.c
cunit_imap_proxy_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_imap_proxy_test_LDADD = $(UNIT_LIBS) $(PROXY_LIBS)
