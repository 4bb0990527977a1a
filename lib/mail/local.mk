# lib/mail: RFC 5322 and MIME parsing.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_SOURCES = \
	lib/mail/address.c lib/mail/address.h \
	lib/mail/content.c lib/mail/content.h \
	lib/mail/date.c lib/mail/date.h \
	lib/mail/header.c lib/mail/header.h \
	lib/mail/lexer.c lib/mail/lexer-private.h \
	lib/mail/message.c lib/mail/message.h \
	lib/mail/section.c lib/mail/section.h \
	lib/mail/text.c lib/mail/text.h \
	lib/mail/thread.c lib/mail/thread.h \
	lib/mail/wire.c lib/mail/wire.h
MAIL_LIBS = lib/mail/libmail.a $(CHARSET_LIBS) $(BASE_LIBS)
