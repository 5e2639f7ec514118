"""Archives of trees: made while they are sent, and unpacked without trusting them."""
