# perl: cyradm, and its tests.
CYRADM_MODULES = \
	perl/Iatlas/Columns.pm \
	perl/Iatlas/Commands.pm \
	perl/Iatlas/Connection.pm \
	perl/Iatlas/Metadata.pm \
	perl/Iatlas/Quote.pm \
	perl/Iatlas/Response.pm \
	perl/Iatlas/Sasl.pm \
	perl/Iatlas/Shell.pm \
	perl/Iatlas/Terminal.pm
CYRADM_TESTS = perl/t/commands.t perl/t/shell.t perl/t/wire.t
EXTRA_DIST += perl/cyradm $(CYRADM_MODULES) $(CYRADM_TESTS)

TEST_EXTENSIONS = .test .t
T_LOG_COMPILER = $(PERL)
AM_T_LOG_FLAGS = -w -I$(srcdir)/perl

cyradmdir = $(pkgdatadir)/perl/Iatlas
if CYRADM
bin_SCRIPTS += perl/cyradm
dist_cyradm_DATA = $(CYRADM_MODULES)
INSTALL_EXEC_HOOKS += install-cyradm
endif
if CYRADM_TESTS
TESTS += $(CYRADM_TESTS)
endif

# The installed script knows its perl, its modules and its version.
install-cyradm:
	$(SED) -e '1s|.*|#!$(PERL)|' -e '/^use FindBin/d' -e 's|^use lib .*|use lib "$(pkgdatadir)/perl";|' \
		-e "s|'uninstalled'|'$(PACKAGE_VERSION)'|" $(srcdir)/perl/cyradm > $(DESTDIR)$(bindir)/cyradm
