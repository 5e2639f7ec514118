"""What managers ask for with their secret: volumes, folders, files, quotas, tokens."""
