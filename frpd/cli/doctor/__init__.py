"""``frpd-ctl doctor``: finds what is wrong, and says what to do about it.

Each check has a part that gathers facts, as thin as can be and under a deadline, and a part
that judges them, which is pure. They are listed in checks.py.
"""
