# unit tests of lib/mail
check_PROGRAMS += cunit/lib/mail/test
cunit_lib_mail_test_SOURCES = cunit/lib/mail/suites.c \
	cunit/lib/mail/address.c cunit/lib/mail/consistent.c cunit/lib/mail/consistent.h \
	cunit/lib/mail/content.c cunit/lib/mail/corpus.c cunit/lib/mail/date.c cunit/lib/mail/header.c \
	cunit/lib/mail/message.c cunit/lib/mail/section.c cunit/lib/mail/text.c cunit/lib/mail/thread.c cunit/lib/mail/wire.c
cunit_lib_mail_test_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)
cunit_lib_mail_test_LDADD = $(UNIT_LIBS) $(MAIL_LIBS)
