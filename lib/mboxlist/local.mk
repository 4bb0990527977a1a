# lib/mboxlist: the mailbox list.
EXTRA_DIST += lib/mboxlist/record.h lib/mboxlist/mboxlist.h lib/mboxlist/remote.h lib/mboxlist/subs.h \
	lib/mboxlist/quota.h lib/mboxlist/intent.h lib/mboxlist/dump.h
