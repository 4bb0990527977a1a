# lib/engine: the session engine.
