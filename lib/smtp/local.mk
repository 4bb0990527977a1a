# lib/smtp: SMTP and LMTP client.
EXTRA_DIST += lib/smtp/reply.h lib/smtp/lmtp.h
