"""The agent's one door to the apps of its kernels: whoever has a ticket gets a bare connection."""
