"""NVIDIA GPUs, asked through NVML."""
