"""WebSocket (RFC 6455) as frp uses it: a carrier of one byte stream, without extensions."""
