# lib/backend: connections to other servers.
EXTRA_DIST += lib/backend/backend.h
