# lib/mail: RFC 5322 and MIME parsing.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_SOURCES = \
	lib/mail/header.c lib/mail/header.h \
	lib/mail/address.h lib/mail/content.h lib/mail/date.h lib/mail/message.h \
	lib/mail/section.h lib/mail/text.h lib/mail/transfer.h lib/mail/wire.h
MAIL_LIBS = lib/mail/libmail.a $(CHARSET_LIBS) $(BASE_LIBS)
