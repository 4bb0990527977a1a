# imap/mboxop: operations on mailbox names, with MUPDATE.
