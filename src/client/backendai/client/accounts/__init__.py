"""Domains, projects, users and keypairs as administrators keep them, and one's own account."""
