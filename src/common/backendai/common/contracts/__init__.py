"""What daemons ask of each other: one module per daemon that answers."""
