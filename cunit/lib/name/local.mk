# unit tests of lib/name
check_PROGRAMS += cunit/lib/name/test
cunit_lib_name_test_SOURCES = cunit/lib/name/suites.c cunit/lib/name/config.h \
	cunit/lib/name/acl.c cunit/lib/name/identity.c cunit/lib/name/mboxname.c \
	cunit/lib/name/namespace.c cunit/lib/name/wildcard.c
cunit_lib_name_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_name_test_LDADD = $(UNIT_LIBS) $(NAME_LIBS)
