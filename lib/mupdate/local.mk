# lib/mupdate: MUPDATE wire format and client.
EXTRA_DIST += lib/mupdate/wire.h lib/mupdate/link.h
