# lib/sasl: SASL, server and client sides: the only includer of sasl/.
