"""The SSH gateway: ``ssh -R`` is a client of frps (frp's sshTunnelGateway, pkg/ssh of 0.70).

``gateway``, ``link`` and ``settings`` are on the reactor; ``room`` runs asyncio in one thread of
its own, where ``client`` speaks SSH by asyncssh, and ``tunnel`` and ``joint`` speak frp for it.
Between the two are socketpairs and calls, see docs/adr/0014-ssh-gateway.md. Nothing of this is
imported unless ssh_gateway_bind_port is set.
"""
