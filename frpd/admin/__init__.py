"""The admin APIs: HTTP on a port and on a control socket, for operators and their tools.

A request is served on a thread of the web server. What it wants to know of the daemon it asks
the loop for (loop_calls), and gets a frozen copy.
"""
