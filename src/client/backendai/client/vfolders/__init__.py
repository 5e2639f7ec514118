"""Folders: what there is of them, and trees of files on their way in and out."""
