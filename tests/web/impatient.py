"""Patched `hub web` with short timeouts: `python -m tests.web.impatient`.

With an argument it has its own timeouts, and that number of connections; with two more it may open
that many files at first, and at most.
"""

import resource
import sys

from hub import asgi, server
from hub.cli import main as hub_main
from hub.web import connections

HEAD_TIMEOUT_S = 1.5
BODY_TIMEOUT_S = 1.5
UNREAD_MOST_S = 2


def main() -> None:
    # Set before the server's processes are forked: they import nothing anew.
    if sys.argv[1:]:
        server.MOST_CONNECTIONS = int(sys.argv[1])
    else:
        connections.HEAD_TIMEOUT_S = HEAD_TIMEOUT_S
        asgi.BODY_TIMEOUT_S = BODY_TIMEOUT_S
        server.UNREAD_MOST_MS = UNREAD_MOST_S * 1000
    if sys.argv[2:]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
    hub_main(["web"])


if __name__ == "__main__":
    main()
