"""Files that people, domains and projects keep for the home of their sessions."""
