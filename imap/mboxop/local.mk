# imap/mboxop: operations on mailbox names, with MUPDATE.
EXTRA_DIST += imap/mboxop/mboxop.h
