"""What went wrong in front of a user, kept for them and for their administrators."""
