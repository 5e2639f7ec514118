"""The routes by which circuits are made and taken back."""
