# lib/mupdate: MUPDATE wire format and client.
noinst_LIBRARIES += lib/mupdate/libmupdate.a
lib_mupdate_libmupdate_a_SOURCES = \
	lib/mupdate/conn.c lib/mupdate/conn.h \
	lib/mupdate/link.c lib/mupdate/link.h lib/mupdate/link-private.h \
	lib/mupdate/wire.c lib/mupdate/wire.h
lib_mupdate_libmupdate_a_CPPFLAGS = $(AM_CPPFLAGS)
MUPDATE_LIBS = lib/mupdate/libmupdate.a $(BACKEND_LIBS) $(NAME_LIBS)
