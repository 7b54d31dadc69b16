"""Sans-IO protocols: bytes in, events and bytes out; no sockets, clocks or randomness."""
