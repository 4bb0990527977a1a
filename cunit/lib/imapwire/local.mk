# unit tests of lib/imapwire
