"""HTTP/1 for the virtual hosts: heads, body framing, rewriting, host names. RFC 9110 and 9112."""
