"""Drivers of devices: finding them, looking after them, and those that come with the agent."""
