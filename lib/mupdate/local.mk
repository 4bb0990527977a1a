# lib/mupdate: MUPDATE wire format and client.
