# lib/db: one interface to two database engines.
