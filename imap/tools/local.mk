# imap/tools: a program a file.
TOOL_SOURCES = imap/tools/tool.c imap/tools/tool.h

sbin_PROGRAMS += imap/tools/ctl_cyrusdb imap/tools/mbpath
imap_tools_ctl_cyrusdb_SOURCES = imap/tools/ctl_cyrusdb.c $(TOOL_SOURCES)
imap_tools_ctl_cyrusdb_LDADD = $(MBOXOP_LIBS)
imap_tools_mbpath_SOURCES = imap/tools/mbpath.c $(TOOL_SOURCES)
imap_tools_mbpath_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
imap_tools_mbpath_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/ctl_mboxlist
imap_tools_ctl_mboxlist_SOURCES = imap/tools/ctl_mboxlist.c imap/tools/verify.c imap/tools/verify.h \
	imap/tools/directories.c imap/tools/directories.h $(TOOL_SOURCES)
imap_tools_ctl_mboxlist_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/ctl_mupdate
imap_tools_ctl_mupdate_SOURCES = imap/tools/ctl_mupdate.c $(TOOL_SOURCES)
imap_tools_ctl_mupdate_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
imap_tools_ctl_mupdate_LDADD = mupdate/libserver.a $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/mbexamine
imap_tools_mbexamine_SOURCES = imap/tools/mbexamine.c $(TOOL_SOURCES)
imap_tools_mbexamine_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/cyr_expire
imap_tools_cyr_expire_SOURCES = imap/tools/cyr_expire.c $(TOOL_SOURCES)
imap_tools_cyr_expire_LDADD = $(LMTP_LOCAL_LIBS) $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/ctl_deliver
imap_tools_ctl_deliver_SOURCES = imap/tools/ctl_deliver.c $(TOOL_SOURCES)
imap_tools_ctl_deliver_LDADD = $(LMTP_LOCAL_LIBS) $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/ipurge
imap_tools_ipurge_SOURCES = imap/tools/ipurge.c $(TOOL_SOURCES)
imap_tools_ipurge_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/masssievec imap/tools/sieve-test imap/tools/sievec imap/tools/sieved
imap_tools_masssievec_SOURCES = imap/tools/sievec.c $(TOOL_SOURCES)
imap_tools_masssievec_LDADD = $(SIEVEHOST_LIBS)
imap_tools_sievec_SOURCES = imap/tools/sievec.c $(TOOL_SOURCES)
imap_tools_sievec_LDADD = $(SIEVEHOST_LIBS)
imap_tools_sieved_SOURCES = imap/tools/sieved.c $(TOOL_SOURCES)
imap_tools_sieved_LDADD = $(SIEVEHOST_LIBS)
imap_tools_sieve_test_SOURCES = imap/tools/sieve-test.c $(TOOL_SOURCES)
imap_tools_sieve_test_LDADD = $(SIEVEHOST_LIBS)

sbin_PROGRAMS += imap/tools/squatter imap/tools/tls_prune
imap_tools_squatter_SOURCES = imap/tools/nothing.c
imap_tools_squatter_LDADD = $(BASE_LIBS)
imap_tools_tls_prune_SOURCES = imap/tools/nothing.c
imap_tools_tls_prune_LDADD = $(BASE_LIBS)

sbin_PROGRAMS += imap/tools/cyr_info
imap_tools_cyr_info_SOURCES = imap/tools/cyr_info.c $(TOOL_SOURCES)
imap_tools_cyr_info_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/cyr_buildinfo
imap_tools_cyr_buildinfo_SOURCES = imap/tools/cyr_buildinfo.c
imap_tools_cyr_buildinfo_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
imap_tools_cyr_buildinfo_LDADD = $(BASE_LIBS)

sbin_PROGRAMS += imap/tools/cyr_dbtool
imap_tools_cyr_dbtool_SOURCES = imap/tools/cyr_dbtool.c $(TOOL_SOURCES)
imap_tools_cyr_dbtool_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/cyr_deny
imap_tools_cyr_deny_SOURCES = imap/tools/cyr_deny.c $(TOOL_SOURCES)
imap_tools_cyr_deny_LDADD = $(LOGIN_LIBS) $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/quota
imap_tools_quota_SOURCES = imap/tools/quota.c $(TOOL_SOURCES)
imap_tools_quota_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
imap_tools_quota_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/reconstruct
imap_tools_reconstruct_SOURCES = imap/tools/reconstruct.c imap/tools/discover.c imap/tools/discover.h \
	imap/tools/directories.c imap/tools/directories.h $(TOOL_SOURCES)
imap_tools_reconstruct_LDADD = $(MBOXOP_LIBS)

sbin_PROGRAMS += imap/tools/unexpunge
imap_tools_unexpunge_SOURCES = imap/tools/unexpunge.c $(TOOL_SOURCES)
imap_tools_unexpunge_LDADD = $(MBOXOP_LIBS)

libexec_PROGRAMS += imap/tools/imapd
imap_tools_imapd_SOURCES = imap/tools/imapd.c
imap_tools_imapd_LDADD = $(SERVICE_LIBS) $(LOCAL_LIBS) $(PROXY_LIBS)

# One program of many names: the name says the protocol.
bin_PROGRAMS += imap/tools/imtest
imap_tools_imtest_SOURCES = imap/tools/imtest.c imap/tools/imtest.h imap/tools/imtest-auth.c imap/tools/imtest-protocols.c
imap_tools_imtest_LDADD = $(STREAM_LIBS) $(SASL_ROOM_LIBS)
IMTEST_LINKS = lmtptest mupdatetest nntptest pop3test sivtest synctest

imap/tools/imtest.links: imap/tools/imtest$(EXEEXT)
	$(AM_V_GEN)for name in $(IMTEST_LINKS); do ln -sf imtest imap/tools/$$name || exit 1; done && touch $@
all-local: imap/tools/imtest.links
CLEANFILES += imap/tools/imtest.links $(IMTEST_LINKS:%=imap/tools/%)

INSTALL_EXEC_HOOKS += install-imtest-links
install-imtest-links:
	cd $(DESTDIR)$(bindir) && for name in $(IMTEST_LINKS); do rm -f $$name && $(LN_S) imtest $$name || exit 1; done
UNINSTALL_HOOKS += uninstall-imtest-links
uninstall-imtest-links:
	cd $(DESTDIR)$(bindir) && rm -f $(IMTEST_LINKS)
