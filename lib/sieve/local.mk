# lib/sieve: the Sieve language: compiler and interpreter.
noinst_LIBRARIES += lib/sieve/libsieve.a
lib_sieve_libsieve_a_SOURCES = \
	lib/sieve/actions.c \
	lib/sieve/check.c \
	lib/sieve/control.c \
	lib/sieve/definition-private.h \
	lib/sieve/edit.c \
	lib/sieve/extensions.def \
	lib/sieve/flags.c lib/sieve/flags-private.h \
	lib/sieve/header.c lib/sieve/header-private.h \
	lib/sieve/lexer.c lib/sieve/lexer-private.h \
	lib/sieve/match.c lib/sieve/match-private.h \
	lib/sieve/parser.c \
	lib/sieve/print.c \
	lib/sieve/run.c lib/sieve/run-private.h \
	lib/sieve/script-private.h \
	lib/sieve/sieve.h \
	lib/sieve/strings.c lib/sieve/strings-private.h \
	lib/sieve/tests-basic.c \
	lib/sieve/tests-date.c \
	lib/sieve/tests-message.c \
	lib/sieve/tests-world.c \
	lib/sieve/uri.c lib/sieve/uri-private.h
lib_sieve_libsieve_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS)
SIEVE_LIBS = lib/sieve/libsieve.a $(MAIL_LIBS) $(PCRE2_LIBS)
