# build-aux: checkers, run by make check, and generators.
BUILD_AUX_CHECKS = build-aux/check-layers build-aux/check-options build-aux/check-log \
	build-aux/check-headers.test
TESTS += $(BUILD_AUX_CHECKS)
EXTRA_DIST += build-aux/check-layers build-aux/check-options build-aux/check-log \
	build-aux/check-headers build-aux/make-options-doc build-aux/tables.py
CLEANFILES += build-aux/check-headers.test build-aux/check-headers.stamp

# The compiler and its flags are make's to know.
build-aux/check-headers.test: Makefile
	$(AM_V_GEN)$(MKDIR_P) build-aux && { echo '#!/bin/sh'; \
	echo "exec $(PYTHON) '$(abs_top_srcdir)/build-aux/check-headers' '$(abs_top_srcdir)' build-aux/check-headers.stamp $(CC) $(DEFS) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CUNIT_CFLAGS)"; } > $@ && chmod +x $@
