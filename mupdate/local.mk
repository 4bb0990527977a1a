# mupdate: the MUPDATE server.
