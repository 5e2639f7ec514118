"""The commands of `backendai vfolder`."""
