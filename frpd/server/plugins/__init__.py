"""Server plugins: HTTP services that are asked what clients and visitors may do."""
