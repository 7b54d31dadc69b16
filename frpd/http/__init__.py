"""HTTP/1 on endpoints: one request and its answer, passed on between two connections."""
