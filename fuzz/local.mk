# Fuzz harnesses: fuzz/NAME.c has libFuzzer's entry point for one parser of outside bytes, fuzz/corpus/NAME
# inputs that once mattered.  `make check` replays the corpora, whole and cut off everywhere (replay.c).
# To look for new ones:
#     ../configure CC=clang --enable-sanitizers=address,undefined && make fuzz/fuzz-NAME
#     fuzz/fuzz-NAME found/ ../fuzz/corpus/NAME
#
# A new harness: its NAME in FUZZ_NAMES and EXTRA_PROGRAMS, and two programs as below.
FUZZ_NAMES = backend charset imapwire lmtp mail mupdate names proxy-response smtp stream
EXTRA_PROGRAMS = fuzz/fuzz-backend fuzz/fuzz-charset fuzz/fuzz-imapwire fuzz/fuzz-lmtp fuzz/fuzz-mail fuzz/fuzz-mupdate fuzz/fuzz-names fuzz/fuzz-proxy-response fuzz/fuzz-smtp fuzz/fuzz-stream
EXTRA_DIST += $(FUZZ_NAMES:%=fuzz/corpus/%)

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
