"""A process of its own that pushes once: the test kills it between the source's answer and our commit.

Arguments: database URL, name of the source, token.
"""

from __future__ import annotations

import sys

from inventory.sources import connect, push
from inventory.sources.register import get
from store import Database


def main(url: str, name: str, token: str) -> None:
    database = Database(url)
    with database.read() as rx:
        source = get(rx, name)
    port = connect(source, token)
    push(database, source, port)
    port.close()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
