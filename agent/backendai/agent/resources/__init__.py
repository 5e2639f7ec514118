"""What a node has, and which part of it each kernel gets."""
