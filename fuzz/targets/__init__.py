"""One module for each decoder: ``one(data)``, and ``seeds()`` to begin with.

``one`` is deterministic, opens no socket and reads no clock. Whatever it raises is a
finding; its docstring says which promises it checks.
"""
