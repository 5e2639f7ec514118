"""The process backend: kernels as bubblewrap sandboxes, for machines without a container engine."""
