# lib/smtp: SMTP and LMTP client.
noinst_LIBRARIES += lib/smtp/libsmtp.a
lib_smtp_libsmtp_a_SOURCES = lib/smtp/lmtp.c lib/smtp/lmtp.h lib/smtp/reply.c lib/smtp/reply.h
SMTP_LIBS = lib/smtp/libsmtp.a $(STREAM_LIBS)
