"""The way of a byte: from a browser to an app and back."""
