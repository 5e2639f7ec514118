"""Apps of sessions: tunnels to their ports, and terminals."""
