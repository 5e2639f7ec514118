"""Downloads of files: ranges, validators, and what a browser may make of them."""
