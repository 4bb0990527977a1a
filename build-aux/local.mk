# build-aux: checkers, run by make check, and generators.
BUILD_AUX_CHECKS = build-aux/check-layers build-aux/check-options build-aux/check-log \
	build-aux/check-format build-aux/check-man build-aux/check-headers.test
TESTS += $(BUILD_AUX_CHECKS)
EXTRA_DIST += build-aux/check-layers build-aux/check-options build-aux/check-format build-aux/check-log build-aux/check-man \
	build-aux/check-headers build-aux/fetch-peers build-aux/make-options-doc build-aux/tables.py
# Folders whole: no page and no test is forgotten.
EXTRA_DIST += .ci doc tests
CLEANFILES += build-aux/check-headers.test build-aux/check-headers.stamp

# The compiler and its flags are make's to know.
build-aux/check-headers.test: Makefile
	$(AM_V_GEN)$(MKDIR_P) build-aux && { echo '#!/bin/sh'; \
	echo "exec $(PYTHON) '$(abs_top_srcdir)/build-aux/check-headers' '$(abs_top_srcdir)' build-aux/check-headers.stamp $(CC) $(DEFS) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CUNIT_CFLAGS)"; } > $@ && chmod +x $@

dist-hook:
	find $(distdir)/tests '(' -name __pycache__ -o -name .deps ')' -prune -exec rm -rf {} +
	find $(distdir)/tests '(' -name '*.o' -o -name .dirstamp ')' -exec rm -f {} +
	cd $(distdir) && rm -f $(noinst_PROGRAMS)
