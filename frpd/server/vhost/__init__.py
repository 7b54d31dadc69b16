"""Virtual hosts: many http and https proxies behind one port, told apart by name."""
