# imap/login: greeting, STARTTLS, AUTHENTICATE, limits: every protocol.
noinst_LIBRARIES += imap/login/liblogin.a
imap_login_liblogin_a_SOURCES = \
	imap/login/auth.c \
	imap/login/deny.c imap/login/deny.h \
	imap/login/login.c imap/login/login.h imap/login/login-private.h \
	imap/login/proc.c imap/login/proc.h \
	imap/login/proxy-header.c imap/login/proxy-header.h \
	imap/login/tally.c imap/login/tally.h \
	imap/login/trace.c
LOGIN_LIBS = imap/login/liblogin.a $(ENGINE_LIBS) $(NAME_LIBS) $(SASL_ROOM_LIBS) $(DB_LIBS)
EXTRA_DIST += doc/formats/deny.md doc/formats/logins.md doc/formats/proc.md
