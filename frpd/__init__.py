"""frpd: a reverse proxy that speaks frp's protocol; see ARCHITECTURE.md."""

__version__ = "0.1.0"
