"""The docker backend: the official SDK behind an asyncio adaptor with its own bounded threads."""
