# man pages, made from the option tables and written by hand
nodist_man_MANS = man/imapd.conf.5
dist_man_MANS = \
	man/ctl_cyrusdb.8 \
	man/ctl_deliver.8 \
	man/ctl_mboxlist.8 \
	man/ctl_mupdate.8 \
	man/cyr_buildinfo.8 \
	man/cyr_dbtool.8 \
	man/cyr_deny.8 \
	man/cyr_expire.8 \
	man/cyr_info.8 \
	man/cyradm.1 \
	man/cyrus.conf.5 \
	man/deliver.8 \
	man/imapd.8 \
	man/imtest.1 \
	man/ipurge.8 \
	man/lmtpd.8 \
	man/lmtpproxyd.8 \
	man/lmtptest.1 \
	man/masssievec.8 \
	man/master.8 \
	man/mbexamine.8 \
	man/mbpath.8 \
	man/mupdate.8 \
	man/mupdatetest.1 \
	man/nntptest.1 \
	man/pop3test.1 \
	man/proxyd.8 \
	man/quota.8 \
	man/reconstruct.8 \
	man/sieve-test.8 \
	man/sievec.8 \
	man/sieved.8 \
	man/sivtest.1 \
	man/squatter.8 \
	man/synctest.1 \
	man/timsieved.8 \
	man/tls_prune.8 \
	man/unexpunge.8
nodist_doc_DATA = man/imapd.conf.sample
CLEANFILES += man/imapd.conf.5 man/imapd.conf.sample

OPTION_TABLES = lib/base/options.def lib/base/options-alias.def lib/base/options-pattern.def lib/base/options-used.def \
	build-aux/make-options-doc build-aux/tables.py

man/imapd.conf.5: $(OPTION_TABLES)
	$(AM_V_GEN)$(MKDIR_P) man && $(PYTHON) $(srcdir)/build-aux/make-options-doc man $(srcdir) > $@.tmp && mv $@.tmp $@

man/imapd.conf.sample: $(OPTION_TABLES)
	$(AM_V_GEN)$(MKDIR_P) man && $(PYTHON) $(srcdir)/build-aux/make-options-doc sample $(srcdir) > $@.tmp && mv $@.tmp $@
