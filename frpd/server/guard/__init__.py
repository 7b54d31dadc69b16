"""What is held against whom before it has shown that it may enter."""
