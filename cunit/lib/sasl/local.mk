# unit tests of lib/sasl
