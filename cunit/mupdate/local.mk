# unit tests of mupdate
