# lib/smtp: SMTP and LMTP client.
