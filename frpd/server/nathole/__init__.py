"""Helping two clients to reach each other through their NATs: the server's part of xtcp.

frp has done it in three ways that do not mix. Up to 0.24 (A) and 0.48 (B) both ends say
where they are by datagrams to a UDP port of the server; since 0.49 (C) they ask a STUN
server, tell us on their control streams, and are told how to try.
"""
