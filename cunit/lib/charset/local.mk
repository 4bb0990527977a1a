# unit tests of lib/charset
check_PROGRAMS += cunit/lib/charset/test
cunit_lib_charset_test_SOURCES = cunit/lib/charset/suites.c cunit/lib/charset/convert.c \
	cunit/lib/charset/decode.c cunit/lib/charset/fold.c cunit/lib/charset/utf7.c \
	cunit/lib/charset/words.c
cunit_lib_charset_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_charset_test_LDADD = $(UNIT_LIBS) $(CHARSET_LIBS)
