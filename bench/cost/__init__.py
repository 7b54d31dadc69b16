"""What one operation costs each end: processor time and system calls."""
