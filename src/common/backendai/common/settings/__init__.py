"""Settings of a daemon: one frozen tree, read once from TOML, every mistake told at once."""
