"""What a person may use, uses and could still use: presets, limits and what is left of them."""
