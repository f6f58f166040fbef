"""wynd: UDP latency and bandwidth over libcoop's ports; run `python -m libcoop.wynd --help`.

Modules without input or output: packet, gaps, sending, receiving, pacing, heartbeat, config, cli. On libcoop's ports
stand: ports, server_ports and client_ports (the handlers), server and client (who owns the sets), demo.
"""
