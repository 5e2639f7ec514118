"""How long ended sessions are kept, and their removal after that."""
