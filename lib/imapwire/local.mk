# lib/imapwire: IMAP lexer, sequence sets, URLs, responses; the client side.
noinst_LIBRARIES += lib/imapwire/libimapwire.a
lib_imapwire_libimapwire_a_SOURCES = \
	lib/imapwire/args.c lib/imapwire/args.h \
	lib/imapwire/out.c lib/imapwire/out.h \
	lib/imapwire/response.c lib/imapwire/response.h \
	lib/imapwire/seqset.c lib/imapwire/seqset.h \
	lib/imapwire/url.c lib/imapwire/url.h
IMAPWIRE_LIBS = lib/imapwire/libimapwire.a $(STREAM_LIBS) $(NAME_LIBS)
