# lib/event: loop and timers, the only includer of libevent.
noinst_LIBRARIES += lib/event/libloop.a
lib_event_libloop_a_SOURCES = lib/event/loop.c lib/event/loop.h
lib_event_libloop_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
EVENT_LIBS = lib/event/libloop.a $(LIBEVENT_LIBS) $(BASE_LIBS)
