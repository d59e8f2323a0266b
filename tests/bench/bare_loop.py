"""Baseline client: threads that only post with `requests`; `bare_loop URL THREADS COUNT`."""

import sys
import threading
from itertools import count

import requests


def run(url: str, threads: int, most: int) -> None:
    """Post `most` requests in total, with one session per thread."""
    numbers = count()

    def post() -> None:
        with requests.Session() as session:
            while (number := next(numbers)) < most:
                body = {"event": number, "type": "payment.succeeded"}
                session.post(url, json=body, timeout=20)

    running = [threading.Thread(target=post) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
