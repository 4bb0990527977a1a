# master: the supervisor and the skeleton of every service.
noinst_LIBRARIES += master/libservice.a master/libmaster.a
master_libservice_a_SOURCES = \
	master/service-run.c master/service-run.h \
	master/status-pipe.c master/status-pipe.h
SERVICE_LIBS = master/libservice.a $(ENGINE_LIBS) $(EVENT_LIBS)

master_libmaster_a_SOURCES = \
	master/balance.c \
	master/child.c master/child.h \
	master/conf.c master/conf.h \
	master/cron.c master/cron.h \
	master/daemons.c master/daemons.h \
	master/events.c master/events.h \
	master/listen.c master/listen.h \
	master/pidfile.c master/pidfile.h \
	master/processes.c \
	master/program.c master/program.h master/cyrus-programs.def \
	master/rate.c master/rate.h \
	master/services.c master/services.h master/services-private.h \
	master/startup.c master/startup.h \
	master/status.c master/status.h \
	master/user.c master/user.h
master_libmaster_a_CPPFLAGS = $(AM_CPPFLAGS) -DLIBEXECDIR='"$(libexecdir)"' -DSBINDIR='"$(sbindir)"' \
	-DBINDIR='"$(bindir)"'
MASTER_LIBS = master/libmaster.a master/libservice.a $(EVENT_LIBS)

libexec_PROGRAMS += master/master
master_master_SOURCES = master/main.c
master_master_LDADD = $(MASTER_LIBS)
