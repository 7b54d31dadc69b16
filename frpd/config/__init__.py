"""Configuration: ini files and flags in, frozen dataclasses out. Knows no sockets."""
