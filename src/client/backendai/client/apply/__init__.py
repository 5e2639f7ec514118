"""Accounts and what limits them, as a file says: read, compared with what there is, and made so."""
