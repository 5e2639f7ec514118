"""Images, the registries that they come from, and background tasks."""
