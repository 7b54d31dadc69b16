"""Plain numbers, kept by the objects that they describe."""
