# imap/tools: a program a file.
