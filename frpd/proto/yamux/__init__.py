"""Yamux, frp's stream multiplexer, sans-IO: many byte streams over one connection.

The wire format is hashicorp's yamux specification; reactions to illegal input
are those of the library that frp ships, as recorded from its 0.21.
"""
