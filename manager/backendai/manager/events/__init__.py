"""News of sessions as server-sent events, read from the outbox."""
