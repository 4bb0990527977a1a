# bench/: how fast, how much memory: bench/README.md.
noinst_PROGRAMS += bench/loadgen
bench_loadgen_SOURCES = bench/imap.c bench/lmtp.c bench/loadgen.c bench/loadgen.h bench/mupdate.c
bench_loadgen_LDADD = $(STREAM_LIBS)
EXTRA_DIST += bench/README.md bench/run bench/servers.py bench/groups.py bench/mail.py bench/names.py bench/nginx.py
