"""Commands on policies, presets and resource groups."""
