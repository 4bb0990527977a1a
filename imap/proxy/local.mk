# imap/proxy: a leg over a backend connection, and proxyd.
noinst_LIBRARIES += imap/proxy/libproxy.a
imap_proxy_libproxy_a_SOURCES = \
	imap/proxy/choose.c \
	imap/proxy/conn.c \
	imap/proxy/exchange.c \
	imap/proxy/lacking.c \
	imap/proxy/names.c \
	imap/proxy/notify.c \
	imap/proxy/pass.c \
	imap/proxy/place.c \
	imap/proxy/proxy.h imap/proxy/proxy-private.h \
	imap/proxy/reader.c \
	imap/proxy/relay.c \
	imap/proxy/offers.c imap/proxy/offers.h \
	imap/proxy/search.c \
	imap/proxy/send.c \
	imap/proxy/sink.c \
	imap/proxy/source.c \
	imap/proxy/without.c
PROXY_LIBS = imap/proxy/libproxy.a $(SESSION_LIBS) $(BACKEND_LIBS) $(MUPDATE_LIBS)

libexec_PROGRAMS += imap/proxyd
imap_proxyd_SOURCES = imap/proxy/proxyd.c
imap_proxyd_LDADD = $(PROXY_LIBS) $(SERVICE_LIBS)
