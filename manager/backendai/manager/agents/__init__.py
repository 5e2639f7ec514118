"""The nodes: what is known of them, whether they can be trusted, and how to reach them."""
