"""The webserver: logs people in, shows them the GUI, and signs what they ask the API for."""
