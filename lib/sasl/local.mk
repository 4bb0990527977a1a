# lib/sasl: SASL, server and client sides: the only includer of sasl/.
EXTRA_DIST += lib/sasl/layer.h lib/sasl/init.h lib/sasl/server.h lib/sasl/client.h
