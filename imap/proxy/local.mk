# imap/proxy: a leg over a backend connection, and proxyd.
