# unit tests of lib/mupdate
