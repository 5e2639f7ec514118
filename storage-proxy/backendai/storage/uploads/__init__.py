"""Uploads: resumable, durable before they are acknowledged, whole or not at all."""
