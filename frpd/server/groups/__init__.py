"""Groups: proxies that share the visitors of one port, of one domain, of one name.

Source: frp's server/group as of 0.70. One file for each kind of proxy that may be in a group.
"""
