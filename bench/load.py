"""Posts signed deliveries to a server, in a process of its own: `python -m bench.load`.

One thread on raw sockets, with every request written beforehand, so that it costs the machine
little. Prints one JSON object: how many 202s, in how many seconds, and each latency.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from .bodies import ENDPOINT, signed, worklog

_ACCEPTED: Final = b" 202 "
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
PATIENCE_SECONDS: Final = 15


@dataclass(slots=True)
class Lane:
    """One connection, and the request that is under way on it."""

    connection: socket.socket
    began_at: float = 0.0
    answer: bytearray = field(default_factory=bytearray)


class Load:
    """Requests to one server over connections that stay open."""

    def __init__(self, port: int, connections: int, first: int, count: int) -> None:
        self._requests = deque(request(number) for number in range(first, first + count))
        self._lanes = [
            Lane(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)
        ]
        self._selector = selectors.DefaultSelector()
        for lane in self._lanes:
            lane.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(lane.connection, selectors.EVENT_READ, lane)
        self._idle = deque(self._lanes)
        self.latencies: list[float] = []

    def as_fast_as_possible(self, seconds: float) -> float:
        """Keep every connection busy; return how long it took until the last answer."""
        start = time.perf_counter()
        end = start + seconds
        while True:
            while self._idle and time.perf_counter() < end and self._requests:
                self._send(self._idle.popleft(), time.perf_counter())
            if len(self._idle) == len(self._lanes):
                return time.perf_counter() - start
            self._receive(PATIENCE_SECONDS)

    def steadily(self, rate: int) -> float:
        """Send so many a second, answered or not; a late start counts as latency too."""
        start = time.perf_counter()
        due = deque(start + number / rate for number in range(len(self._requests)))
        while due or len(self._idle) < len(self._lanes):
            now = time.perf_counter()
            while due and due[0] <= now and self._idle:
                self._send(self._idle.popleft(), due.popleft())
            wait = max(0.0, due[0] - now) if due and self._idle else PATIENCE_SECONDS
            self._receive(wait, is_idle=len(self._idle) == len(self._lanes))
        return time.perf_counter() - start

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for lane in self._lanes:
            lane.connection.close()

    def _send(self, lane: Lane, began_at: float) -> None:
        lane.began_at = began_at
        lane.connection.sendall(self._requests.popleft())

    def _receive(self, patience: float, *, is_idle: bool = False) -> None:
        ready = self._selector.select(patience)
        if not ready and patience == PATIENCE_SECONDS and not is_idle:
            raise SystemExit(f"bench.load: no answer within {PATIENCE_SECONDS} s")
        for key, _ in ready:
            lane: Lane = key.data
            piece = lane.connection.recv(65536)
            if not piece:
                raise SystemExit("bench.load: the server closed a connection")
            lane.answer += piece
            if is_whole(lane.answer):
                if _ACCEPTED not in lane.answer[:20]:
                    status = bytes(lane.answer[:40]).decode("latin-1").splitlines()[0]
                    raise SystemExit(f"bench.load: {status}")
                self.latencies.append(time.perf_counter() - lane.began_at)
                lane.answer.clear()
                self._idle.append(lane)


def request(number: int) -> bytes:
    """Return one whole HTTP request with a time entry of this number."""
    headers, raw = signed(worklog(number), f"load-{number}")
    lines = [f"POST /webhooks/{ENDPOINT} HTTP/1.1", f"Content-Length: {len(raw)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END_OF_HEAD + raw


def is_whole(answer: bytearray) -> bool:
    """Return whether an answer has come to its end."""
    head, end, rest = answer.partition(_END_OF_HEAD)
    if not end:
        return False
    _, named, value = head.lower().partition(_LENGTH)
    return bool(named) and len(rest) >= int(value.partition(b"\r\n")[0])


def main() -> None:
    """Post as the command line says and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, required=True, help="the first entry's number")
    parser.add_argument("--count", type=int, required=True, help="the most requests")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--seconds", type=float, help="as fast as possible for so long")
    how.add_argument("--rate", type=int, help="so many a second, answered or not")
    given = parser.parse_args()
    load = Load(given.port, given.connections, given.first, given.count)
    if given.rate:
        seconds = load.steadily(given.rate)
    else:
        seconds = load.as_fast_as_possible(given.seconds)
    load.close()
    print(json.dumps({"seconds": seconds, "latencies": load.latencies}))


if __name__ == "__main__":
    main()
