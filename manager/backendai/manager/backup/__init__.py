"""One archive of all that the cluster knows of itself, and its way back into empty stores."""
