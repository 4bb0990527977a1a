# lib/name: mailbox names, namespaces, wildcards, ACLs.
noinst_LIBRARIES += lib/name/libname.a
lib_name_libname_a_SOURCES = \
	lib/name/acl.c lib/name/acl.h \
	lib/name/identity.c lib/name/identity.h \
	lib/name/mboxname.c lib/name/mboxname.h \
	lib/name/name-config.c lib/name/name-config.h \
	lib/name/namespace.c lib/name/namespace.h \
	lib/name/scriptdir.c lib/name/scriptdir.h \
	lib/name/wildcard.c lib/name/wildcard.h
NAME_LIBS = lib/name/libname.a $(CHARSET_LIBS)
EXTRA_DIST += doc/formats/acl-and-names.md
