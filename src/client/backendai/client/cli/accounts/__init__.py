"""Commands on domains, projects, users and keypairs, and on one's own account."""
