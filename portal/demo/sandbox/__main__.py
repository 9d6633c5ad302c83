"""``python -m portal.demo.sandbox --port 8900 --store sandbox.sqlite3``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from portal.demo.sandbox.server import Sandbox, SandboxServer
from portal.demo.sandbox.store import Store


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="portal.demo.sandbox", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="TCP port; 0 takes a free one")
    where.add_argument("--socket", type=Path, help="path of a unix socket")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--store", type=Path, required=True, help="path of the SQLite file")
    parser.add_argument("--lifelike", action="store_true", help="take as long to answer as real services do")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    store = Store(options.store)
    try:
        server = SandboxServer(
            options.socket or (options.host, options.port), Sandbox(store, lifelike=options.lifelike)
        )
    except OSError as exc:
        place = options.socket or f"{options.host}:{options.port}"
        sys.stderr.write(f"The sandbox cannot listen on {place}: {exc.strerror}\n")
        return 1
    signal.signal(signal.SIGTERM, _stop)
    # the ready line is read by whoever started us
    address = str(options.socket) if options.socket else f"http://{options.host}:{server.server_address[1]}"
    sys.stdout.write(f"sandbox ready at {address}\n")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        store.close()
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


sys.exit(main())
