"""Accounts as a file says that they shall be: read, compared with what there is, and made so."""
