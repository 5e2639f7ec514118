"""Ends sessions that nobody uses, or that have had their time, and warns before."""
