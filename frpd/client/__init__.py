"""frpc: keeps one session with the server and carries its visitors to local services."""
