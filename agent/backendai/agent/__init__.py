"""The daemon of one node: makes containers what the manager wants, and tells what they are."""
