"""What clients ask about the cluster itself before anything else."""
