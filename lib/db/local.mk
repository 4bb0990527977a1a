# lib/db: one interface to two database engines.
noinst_LIBRARIES += lib/db/libdb.a
lib_db_libdb_a_SOURCES = lib/db/db.c lib/db/db.h lib/db/db-private.h lib/db/lmdb.c lib/db/berkeley.c \
	lib/db/pack.c lib/db/pack.h
DB_LIBS = lib/db/libdb.a $(BASE_LIBS) $(LMDB_LIBS) $(BDB_LIBS)
