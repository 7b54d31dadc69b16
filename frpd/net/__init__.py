"""Sockets on the loop; nothing here knows frp."""
