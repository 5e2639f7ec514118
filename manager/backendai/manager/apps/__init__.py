"""Apps of running sessions: what there are, starting them, and the ways into them."""
