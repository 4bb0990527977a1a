# unit tests of master
