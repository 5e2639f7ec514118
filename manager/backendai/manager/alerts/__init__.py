"""Telling operators of what needs somebody, by mail and webhook: when it begins and ends."""
