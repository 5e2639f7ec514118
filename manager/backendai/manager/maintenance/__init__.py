"""Freezing the cluster, telling people about it, and steering the scheduler by hand."""
