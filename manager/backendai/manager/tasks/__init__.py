"""Background tasks: long work of a manager, whose progress somebody watches."""
