"""What both ends of a tunnel agree on: the bytes of one TCP connection in frames of a WebSocket.

Each side sends its bytes as binary frames. A WebSocket is closed both ways at once, a TCP
connection is not: an empty frame says that its sender has nothing more to send, and still listens.
The server says so only to clients that offer HALF_CLOSE; for others it closes, as they expect.
"""

from typing import Final

# As a subprotocol of the WebSocket.
HALF_CLOSE: Final = "bai.half-close"
ENDED: Final = b""
