"""Templates of sessions: kept for their owner and the members of a project, and started from."""
