"""What resources are shared by: policies, presets and resource groups."""
