"""Typed calls between daemons: ZeroMQ sockets, CURVE keys, msgspec frames."""
