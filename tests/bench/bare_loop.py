"""Baseline client: threads that only post; `bare_loop CLIENT URL THREADS COUNT`.

`requests` is `Session.post`, as a program is written. `urllib3` is the lower floor: the same bytes,
prepared once, through `PoolManager.urlopen`, and nothing that a `Session` does for each request.
"""

import json
import sys
import threading
from collections.abc import Callable
from itertools import count

import requests
import urllib3

Post = Callable[[int], object]


def run(new_client: Callable[[str], Post], url: str, threads: int, most: int) -> None:
    """Post `most` requests in total, with a client of its own for each thread."""
    numbers = count()

    def post() -> None:
        client = new_client(url)
        while (number := next(numbers)) < most:
            client(number)

    running = [threading.Thread(target=post) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def by_requests(url: str) -> Post:
    """Return a client that posts numbers with a session of `requests`."""
    session = requests.Session()
    return lambda number: session.post(url, json=_body(number), timeout=20)


def by_urllib3(url: str) -> Post:
    """Return a client that posts the same bytes each time with a pool of `urllib3`."""
    pool = urllib3.PoolManager()
    body = json.dumps(_body(0)).encode()
    headers = {"Content-Type": "application/json"}
    return lambda _: pool.urlopen("POST", url, body=body, headers=headers, timeout=20)


def _body(number: int) -> dict[str, object]:
    return {"event": number, "type": "payment.succeeded"}


CLIENTS = {"requests": by_requests, "urllib3": by_urllib3}

if __name__ == "__main__":
    run(CLIENTS[sys.argv[1]], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
