"""The programs: what they understand, what they build, how they end."""
