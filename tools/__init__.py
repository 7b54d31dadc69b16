"""What builds and proves packages of frpd; no part of the programs."""
