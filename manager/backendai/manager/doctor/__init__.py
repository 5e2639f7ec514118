"""Whether a manager has what it needs: each check only looks, and says what to do."""
