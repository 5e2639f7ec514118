"""Logging in at another provider: OpenID Connect, authorisation code with PKCE."""
