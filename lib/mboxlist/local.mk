# lib/mboxlist: the mailbox list.
