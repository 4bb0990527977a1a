# lib/backend: connections to other servers.
