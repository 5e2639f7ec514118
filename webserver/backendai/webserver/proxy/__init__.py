"""Requests for the API: signed for who is logged in, and passed to a manager."""
