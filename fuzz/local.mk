# Fuzz harnesses: fuzz/README.md.
FUZZ_NAMES = backend charset conf imapd imapwire lmtp lmtpd mail mupdate mupdated names proxy-header proxy-response sieve sievehost smtp store stream timsieved
EXTRA_PROGRAMS = fuzz/fuzz-backend fuzz/fuzz-charset fuzz/fuzz-conf fuzz/fuzz-imapd fuzz/fuzz-imapwire fuzz/fuzz-lmtp fuzz/fuzz-lmtpd fuzz/fuzz-mail \
	fuzz/fuzz-mupdate fuzz/fuzz-mupdated fuzz/fuzz-names fuzz/fuzz-proxy-header fuzz/fuzz-proxy-response fuzz/fuzz-sieve fuzz/fuzz-sievehost fuzz/fuzz-smtp fuzz/fuzz-store fuzz/fuzz-stream fuzz/fuzz-timsieved
EXTRA_DIST += fuzz/README.md fuzz/dict $(FUZZ_NAMES:%=fuzz/corpus/%)

check_PROGRAMS += fuzz/replay-mail
fuzz_replay_mail_SOURCES = fuzz/replay.c fuzz/mail.c cunit/lib/mail/consistent.c cunit/lib/mail/consistent.h
fuzz_replay_mail_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/mail"'
fuzz_replay_mail_LDADD = $(MAIL_LIBS)
fuzz_fuzz_mail_SOURCES = fuzz/mail.c cunit/lib/mail/consistent.c cunit/lib/mail/consistent.h
fuzz_fuzz_mail_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_mail_LDADD = $(MAIL_LIBS)

check_PROGRAMS += fuzz/replay-charset
fuzz_replay_charset_SOURCES = fuzz/replay.c fuzz/charset.c
fuzz_replay_charset_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/charset"'
fuzz_replay_charset_LDADD = $(CHARSET_LIBS)
fuzz_fuzz_charset_SOURCES = fuzz/charset.c
fuzz_fuzz_charset_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_charset_LDADD = $(CHARSET_LIBS)

check_PROGRAMS += fuzz/replay-names
fuzz_replay_names_SOURCES = fuzz/replay.c fuzz/names.c
fuzz_replay_names_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/names"'
fuzz_replay_names_LDADD = $(NAME_LIBS)
fuzz_fuzz_names_SOURCES = fuzz/names.c
fuzz_fuzz_names_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_names_LDADD = $(NAME_LIBS)

check_PROGRAMS += fuzz/replay-proxy-header
fuzz_replay_proxy_header_SOURCES = fuzz/replay.c fuzz/proxy-header.c
fuzz_replay_proxy_header_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/proxy-header"'
fuzz_replay_proxy_header_LDADD = $(LOGIN_LIBS)
fuzz_fuzz_proxy_header_SOURCES = fuzz/proxy-header.c
fuzz_fuzz_proxy_header_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_proxy_header_LDADD = $(LOGIN_LIBS)

check_PROGRAMS += fuzz/replay-imapwire
fuzz_replay_imapwire_SOURCES = fuzz/replay.c fuzz/imapwire.c
fuzz_replay_imapwire_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/imapwire"'
fuzz_replay_imapwire_LDADD = $(IMAPWIRE_LIBS)
fuzz_fuzz_imapwire_SOURCES = fuzz/imapwire.c
fuzz_fuzz_imapwire_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_imapwire_LDADD = $(IMAPWIRE_LIBS)

check_PROGRAMS += fuzz/replay-backend
fuzz_replay_backend_SOURCES = fuzz/replay.c fuzz/backend.c
fuzz_replay_backend_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/backend"'
fuzz_replay_backend_LDADD = $(BACKEND_LIBS)
fuzz_fuzz_backend_SOURCES = fuzz/backend.c
fuzz_fuzz_backend_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_backend_LDADD = $(BACKEND_LIBS)

check_PROGRAMS += fuzz/replay-smtp
fuzz_replay_smtp_SOURCES = fuzz/replay.c fuzz/smtp.c
fuzz_replay_smtp_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/smtp"'
fuzz_replay_smtp_LDADD = $(SMTP_LIBS)
fuzz_fuzz_smtp_SOURCES = fuzz/smtp.c
fuzz_fuzz_smtp_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_smtp_LDADD = $(SMTP_LIBS)

check_PROGRAMS += fuzz/replay-sievehost
fuzz_replay_sievehost_SOURCES = fuzz/replay.c fuzz/sievehost.c
fuzz_replay_sievehost_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/sievehost"'
fuzz_replay_sievehost_LDADD = $(SIEVEHOST_LIBS)
fuzz_fuzz_sievehost_SOURCES = fuzz/sievehost.c
fuzz_fuzz_sievehost_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_sievehost_LDADD = $(SIEVEHOST_LIBS)

check_PROGRAMS += fuzz/replay-stream
fuzz_replay_stream_SOURCES = fuzz/replay.c fuzz/stream.c
fuzz_replay_stream_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/stream"'
fuzz_replay_stream_LDADD = $(STREAM_LIBS)
fuzz_fuzz_stream_SOURCES = fuzz/stream.c
fuzz_fuzz_stream_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_stream_LDADD = $(STREAM_LIBS)

check_PROGRAMS += fuzz/replay-lmtp
fuzz_replay_lmtp_SOURCES = fuzz/replay.c fuzz/lmtp.c
fuzz_replay_lmtp_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/lmtp"'
fuzz_replay_lmtp_LDADD = $(LMTP_ENGINE_LIBS)
fuzz_fuzz_lmtp_SOURCES = fuzz/lmtp.c
fuzz_fuzz_lmtp_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_lmtp_LDADD = $(LMTP_ENGINE_LIBS)

check_PROGRAMS += fuzz/replay-mupdate
fuzz_replay_mupdate_SOURCES = fuzz/replay.c fuzz/mupdate.c
fuzz_replay_mupdate_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/mupdate"'
fuzz_replay_mupdate_LDADD = $(MUPDATE_LIBS) $(MBOXLIST_LIBS)
fuzz_fuzz_mupdate_SOURCES = fuzz/mupdate.c
fuzz_fuzz_mupdate_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_mupdate_LDADD = $(MUPDATE_LIBS) $(MBOXLIST_LIBS)

check_PROGRAMS += fuzz/replay-proxy-response
fuzz_replay_proxy_response_SOURCES = fuzz/replay.c fuzz/proxy-response.c
fuzz_replay_proxy_response_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/proxy-response"'
fuzz_replay_proxy_response_LDADD = $(PROXY_LIBS)
fuzz_fuzz_proxy_response_SOURCES = fuzz/proxy-response.c
fuzz_fuzz_proxy_response_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_proxy_response_LDADD = $(PROXY_LIBS)

check_PROGRAMS += fuzz/replay-conf
fuzz_replay_conf_SOURCES = fuzz/replay.c fuzz/conf.c
fuzz_replay_conf_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/conf"'
fuzz_replay_conf_LDADD = $(MASTER_LIBS)
fuzz_fuzz_conf_SOURCES = fuzz/conf.c
fuzz_fuzz_conf_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_conf_LDADD = $(MASTER_LIBS)

check_PROGRAMS += fuzz/replay-imapd
fuzz_replay_imapd_SOURCES = fuzz/replay.c fuzz/imapd.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_replay_imapd_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/imapd"' -DCUTS_MAX=8
fuzz_replay_imapd_LDADD = $(LOCAL_LIBS)
fuzz_fuzz_imapd_SOURCES = fuzz/imapd.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_fuzz_imapd_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_imapd_LDADD = $(LOCAL_LIBS)

check_PROGRAMS += fuzz/replay-lmtpd
fuzz_replay_lmtpd_SOURCES = fuzz/replay.c fuzz/lmtpd.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_replay_lmtpd_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/lmtpd"' -DCUTS_MAX=8
fuzz_replay_lmtpd_LDADD = $(LMTP_LOCAL_LIBS) $(LOCAL_LIBS)
fuzz_fuzz_lmtpd_SOURCES = fuzz/lmtpd.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_fuzz_lmtpd_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_lmtpd_LDADD = $(LMTP_LOCAL_LIBS) $(LOCAL_LIBS)

check_PROGRAMS += fuzz/replay-timsieved
fuzz_replay_timsieved_SOURCES = fuzz/replay.c fuzz/timsieved.c fuzz/serve.c fuzz/serve.h
fuzz_replay_timsieved_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/timsieved"' -DCUTS_MAX=8
fuzz_replay_timsieved_LDADD = $(MANAGESIEVE_LIBS)
fuzz_fuzz_timsieved_SOURCES = fuzz/timsieved.c fuzz/serve.c fuzz/serve.h
fuzz_fuzz_timsieved_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_timsieved_LDADD = $(MANAGESIEVE_LIBS)

check_PROGRAMS += fuzz/replay-mupdated
fuzz_replay_mupdated_SOURCES = fuzz/replay.c fuzz/mupdated.c fuzz/serve.c fuzz/serve.h
fuzz_replay_mupdated_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/mupdated"' -DCUTS_MAX=8
fuzz_replay_mupdated_LDADD = $(MUPDATE_SERVER_LIBS)
fuzz_fuzz_mupdated_SOURCES = fuzz/mupdated.c fuzz/serve.c fuzz/serve.h
fuzz_fuzz_mupdated_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_mupdated_LDADD = $(MUPDATE_SERVER_LIBS)

check_PROGRAMS += fuzz/replay-store
fuzz_replay_store_SOURCES = fuzz/replay.c fuzz/store.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_replay_store_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/store"' -DCUTS_MAX=8
fuzz_replay_store_LDADD = $(LOCAL_LIBS)
fuzz_fuzz_store_SOURCES = fuzz/store.c fuzz/serve.c fuzz/serve.h fuzz/served-store.c fuzz/served-store.h
fuzz_fuzz_store_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_store_LDADD = $(LOCAL_LIBS)

check_PROGRAMS += fuzz/replay-sieve
fuzz_replay_sieve_SOURCES = fuzz/replay.c fuzz/sieve.c cunit/lib/sieve/play-world.c cunit/lib/sieve/play.h
fuzz_replay_sieve_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"fuzz/corpus/sieve"'
fuzz_replay_sieve_LDADD = $(SIEVE_LIBS)
fuzz_fuzz_sieve_SOURCES = fuzz/sieve.c cunit/lib/sieve/play-world.c cunit/lib/sieve/play.h
fuzz_fuzz_sieve_LDFLAGS = -fsanitize=fuzzer
fuzz_fuzz_sieve_LDADD = $(SIEVE_LIBS)
