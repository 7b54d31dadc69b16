"""Endpoints of frpc, by group; frpc_api has the table."""
