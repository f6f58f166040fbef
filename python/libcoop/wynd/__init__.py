"""wynd: UDP latency and bandwidth over libcoop's ports; run `python -m libcoop.wynd --help`.

Modules without input or output: packet, gaps, sending, receiving, pacing, heartbeat, series, config, cli. The handlers
of the ports: ports (what all do), transmitting and collecting (the two sides of a test), main_port, server_ports,
server_control, client_ports, client_control. On the main thread: server, client (who own the sets), mailbox (how events
get there), report, display, plot. And the demo.
"""
