# imap/lmtp: LMTP: engine, local delivery, relay; lmtpd, lmtpproxyd, deliver.
noinst_LIBRARIES += imap/lmtp/engine/liblmtp-engine.a
imap_lmtp_engine_liblmtp_engine_a_SOURCES = \
	imap/lmtp/engine/address.c imap/lmtp/engine/address.h \
	imap/lmtp/engine/chunk.c \
	imap/lmtp/engine/data.c imap/lmtp/engine/data.h \
	imap/lmtp/engine/front.c imap/lmtp/engine/front.h imap/lmtp/engine/front-private.h \
	imap/lmtp/engine/header.c imap/lmtp/engine/header.h \
	imap/lmtp/engine/mail.c \
	imap/lmtp/engine/message.c \
	imap/lmtp/engine/process.c imap/lmtp/engine/process.h \
	imap/lmtp/engine/transport.c imap/lmtp/engine/transport.h
LMTP_ENGINE_LIBS = imap/lmtp/engine/liblmtp-engine.a $(LOGIN_LIBS) $(SMTP_LIBS) $(MAIL_LIBS)

noinst_LIBRARIES += imap/lmtp/relay/liblmtp-relay.a
imap_lmtp_relay_liblmtp_relay_a_SOURCES = \
	imap/lmtp/relay/legs.c \
	imap/lmtp/relay/links.c imap/lmtp/relay/links.h \
	imap/lmtp/relay/lookup.c \
	imap/lmtp/relay/relay.c imap/lmtp/relay/relay.h imap/lmtp/relay/relay-private.h \
	imap/lmtp/relay/spool.c imap/lmtp/relay/spool.h
LMTP_RELAY_LIBS = imap/lmtp/relay/liblmtp-relay.a $(LMTP_ENGINE_LIBS) $(MUPDATE_LIBS) $(BACKEND_LIBS) $(MBOXLIST_LIBS)

noinst_LIBRARIES += imap/lmtp/local/liblmtp-local.a
imap_lmtp_local_liblmtp_local_a_SOURCES = \
	imap/lmtp/local/choose.c \
	imap/lmtp/local/newcomer.c \
	imap/lmtp/local/deliver.c \
	imap/lmtp/local/duplicate.c imap/lmtp/local/duplicate.h \
	imap/lmtp/local/local.c imap/lmtp/local/local.h imap/lmtp/local/local-private.h \
	imap/lmtp/local/scripts.c
LMTP_LOCAL_LIBS = imap/lmtp/local/liblmtp-local.a $(LMTP_ENGINE_LIBS) $(SIEVEHOST_LIBS) $(STORE_LIBS)
EXTRA_DIST += doc/formats/duplicates.md doc/formats/part-table.md

noinst_LIBRARIES += imap/lmtp/unified/liblmtp-unified.a
imap_lmtp_unified_liblmtp_unified_a_SOURCES = imap/lmtp/unified/unified.c imap/lmtp/unified/unified.h
LMTP_UNIFIED_LIBS = imap/lmtp/unified/liblmtp-unified.a $(LMTP_LOCAL_LIBS) $(LMTP_RELAY_LIBS)

libexec_PROGRAMS += imap/lmtp/lmtpd imap/lmtp/lmtpproxyd
imap_lmtp_lmtpd_SOURCES = imap/lmtp/lmtpd.c
imap_lmtp_lmtpd_LDADD = $(LMTP_UNIFIED_LIBS) $(SERVICE_LIBS)
imap_lmtp_lmtpproxyd_SOURCES = imap/lmtp/lmtpproxyd.c
imap_lmtp_lmtpproxyd_LDADD = $(LMTP_RELAY_LIBS) $(SERVICE_LIBS)

bin_PROGRAMS += imap/lmtp/deliver
imap_lmtp_deliver_SOURCES = imap/lmtp/deliver.c
imap_lmtp_deliver_LDADD = $(LMTP_RELAY_LIBS)
EXTRA_DIST += doc/protocols/lmtp.md
