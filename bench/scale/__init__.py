"""How time and memory grow with visitors, proxies and clients."""
