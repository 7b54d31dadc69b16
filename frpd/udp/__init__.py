"""Datagrams: sockets on the loop, flows by visitor, and the stream that carries them."""
