"""The package's whole life on a machine of its own, as administrators and visitors see it.

``python3 -m tools.lifecycle OLD.deb NEW.deb`` runs as root in a fresh Debian that is booted for
this and thrown away after; ../lifecycle.sh does all that. Standard library only: the machine has
nothing else before the package comes.
"""
