# lib/stream: buffered streams with layers.
EXTRA_DIST += lib/stream/stream.h lib/stream/tls.h
