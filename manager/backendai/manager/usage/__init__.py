"""What sessions held and used over time, for bills and for curves; it outlives its sessions."""
