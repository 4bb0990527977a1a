# master: the supervisor and the skeleton of every service.
noinst_LIBRARIES += master/libservice.a
master_libservice_a_SOURCES = \
	master/service-run.c master/service-run.h \
	master/status-pipe.c master/status-pipe.h
SERVICE_LIBS = master/libservice.a $(ENGINE_LIBS) $(EVENT_LIBS)
