# unit tests of lib/mupdate
EXTRA_DIST += cunit/lib/mupdate/suites.c cunit/lib/mupdate/link.c cunit/lib/mupdate/wire.c
