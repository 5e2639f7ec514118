"""An all-reduce in plain Python, as a user's program would do it: run on each kernel of a session.

Each rank listens on its own name, connects to the next one's, and sends round what it has; after
size - 1 steps all have the sum of all. Whoever is not up yet is waited for.
"""

import os
import socket
import time

PORT = 29500
SECONDS = 90.0


def main() -> None:
    hosts = os.environ["BACKENDAI_CLUSTER_HOSTS"].split(",")
    size = int(os.environ["BACKENDAI_CLUSTER_SIZE"])
    rank = hosts.index(os.environ["BACKENDAI_CLUSTER_HOST"])
    own = {"main": 0, "sub": int(os.environ["BACKENDAI_CLUSTER_IDX"])}
    assert own[os.environ["BACKENDAI_CLUSTER_ROLE"]] == rank, os.environ
    with socket.create_server((hosts[rank], PORT)) as listener:
        following = connect(hosts[(rank + 1) % size])
        before = listener.accept()[0]
        received = before.makefile("r")
        total = value = 10**rank
        for _ in range(size - 1):
            following.sendall(f"{value}\n".encode())
            value = int(received.readline())
            total += value
        print(f"rank {rank} of {size}: {total}")


def connect(host: str) -> socket.socket:
    """To a sibling that may have no name yet, or not listen."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection((host, PORT), timeout=SECONDS)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
