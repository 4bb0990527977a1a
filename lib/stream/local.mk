# lib/stream: buffered streams with layers.
