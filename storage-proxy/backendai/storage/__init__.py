"""The storage proxy: serves folders on volumes, and nothing outside of them."""
