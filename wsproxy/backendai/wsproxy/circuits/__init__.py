"""Circuits: what they are, where they are kept, and those that are live."""
