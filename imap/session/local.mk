# imap/session: the IMAP front.
noinst_LIBRARIES += imap/session/libsession.a
imap_session_libsession_a_SOURCES = \
	imap/session/annotate-args.c imap/session/annotate-args.h \
	imap/session/append-syntax.c imap/session/append-syntax.h \
	imap/session/capability.c imap/session/capability.h imap/session/capability.def \
	imap/session/client.c imap/session/client.h \
	imap/session/cmd-acl.c \
	imap/session/append-url.c imap/session/appending.h \
	imap/session/cmd-append.c \
	imap/session/cmd-replace.c \
	imap/session/cmd-copy.c \
	imap/session/cmd-esearch.c \
	imap/session/cmd-idle.c \
	imap/session/cmd-list.c imap/session/list.h imap/session/list-private.h \
	imap/session/cmd-metadata.c \
	imap/session/cmd-misc.c \
	imap/session/cmd-names.c \
	imap/session/cmd-subs.c \
	imap/session/command.c imap/session/command.h \
	imap/session/commands.def imap/session/commands.h \
	imap/session/create-args.c imap/session/create-args.h \
	imap/session/dispatch.c imap/session/dispatch.h \
	imap/session/enable.c imap/session/enable.h imap/session/enable.def \
	imap/session/front.c imap/session/front.h \
	imap/session/input.c imap/session/input.h \
	imap/session/leg.h \
	imap/session/list-lines.c \
	imap/session/list-options.c \
	imap/session/list-status.c \
	imap/session/list-subs.c \
	imap/session/list-walk.c \
	imap/session/metadata-args.c imap/session/metadata-args.h \
	imap/session/newcomer.c imap/session/newcomer.h \
	imap/session/cmd-notify.c \
	imap/session/notify.c imap/session/notify.h imap/session/notify-private.h \
	imap/session/notify-args.c imap/session/notify-args.h \
	imap/session/notify-hub.c imap/session/notify-hub.h \
	imap/session/notify-links.c imap/session/notify-names.c imap/session/notify-watch.c \
	imap/session/process.c imap/session/process.h \
	imap/session/referral.c imap/session/referral.h \
	imap/session/route.c imap/session/route.h \
	imap/session/search-return.c imap/session/search-return.h \
	imap/session/select-params.c imap/session/select-params.h \
	imap/session/sources.c imap/session/sources.h \
	imap/session/specials.c imap/session/specials.h \
	imap/session/spread.c imap/session/spread.h \
	imap/session/status-items.c imap/session/status-items.h imap/session/status-items.def
SESSION_LIBS = imap/session/libsession.a $(LOGIN_LIBS) $(MUPDATE_LIBS) $(MBOXLIST_LIBS) $(IMAPWIRE_LIBS)
