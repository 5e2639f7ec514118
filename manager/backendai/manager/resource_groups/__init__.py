"""The sets of nodes that a person may use, and the app proxy of each."""
