"""One module per revision; each is compatible with the release that runs before it."""
