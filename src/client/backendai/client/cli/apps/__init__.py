"""Commands that lead into apps of sessions."""
