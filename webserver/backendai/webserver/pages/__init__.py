"""What browsers load: the GUI's files, and the configuration that it reads."""
