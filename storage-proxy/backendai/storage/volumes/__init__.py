"""Volumes: mounted directories with folders in them, each behind a backend of its kind."""
