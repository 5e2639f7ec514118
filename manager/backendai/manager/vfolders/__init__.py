"""Folders: whose they are, who may what with them, and the proxies that keep their files."""
