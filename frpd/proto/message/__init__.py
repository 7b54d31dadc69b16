"""The control messages of frp: their shapes and their bytes."""
