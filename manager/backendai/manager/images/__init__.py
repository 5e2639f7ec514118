"""Images: what containers are made of, and what their labels ask for."""
