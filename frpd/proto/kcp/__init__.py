"""KCP with forward error correction, as frp sets it up: a reliable stream over datagrams."""
