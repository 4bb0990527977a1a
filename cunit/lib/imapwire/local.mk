# unit tests of lib/imapwire
check_PROGRAMS += cunit/lib/imapwire/test
cunit_lib_imapwire_test_SOURCES = cunit/lib/imapwire/suites.c \
	cunit/lib/imapwire/args.c cunit/lib/imapwire/out.c cunit/lib/imapwire/response.c cunit/lib/imapwire/seqset.c \
	cunit/lib/imapwire/url.c
cunit_lib_imapwire_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_imapwire_test_LDADD = $(UNIT_LIBS) $(IMAPWIRE_LIBS)
