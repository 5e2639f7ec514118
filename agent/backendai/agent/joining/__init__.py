"""How a machine becomes a node of a cluster."""
