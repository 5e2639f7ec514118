"""Logins: who a browser is, kept in Redis under a sealed record."""
