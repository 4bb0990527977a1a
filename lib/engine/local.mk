# lib/engine: the session engine.
noinst_LIBRARIES += lib/engine/libengine.a
lib_engine_libengine_a_SOURCES = \
	lib/engine/accept.c \
	lib/engine/engine.c lib/engine/engine.h lib/engine/engine-private.h \
	lib/engine/keeper.c lib/engine/session.c lib/engine/timer.c \
	lib/engine/watch.c lib/engine/worker.c
ENGINE_LIBS = lib/engine/libengine.a $(STREAM_LIBS)
