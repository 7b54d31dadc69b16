"""Endpoints of frps, by group; frps_api has the table."""
