"""How much accounts may use, and who may use which nodes."""
