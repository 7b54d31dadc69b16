"""frpd-ctl, the operator's one tool for both ends; program.py starts it, registry.py has all."""
