"""A simulator whose whole life is one REST service on a database."""

from __future__ import annotations

import json
from typing import Protocol

from lab.embedded.device import Access, NodeContext
from lab.embedded.rest.database import Database
from lab.embedded.rest.https import Request, Response
from lab.embedded.rest.node import HttpsNode, unauthorized
from lab.embedded.rest.problems import ApiError


class Service(Protocol):
    """The answers of one node."""

    async def answer(self, request: Request) -> Response:
        """Serve an authenticated request. ApiError: refused."""


class RestNode:
    """Boots by reading its databases; a power cut loses nothing that was answered."""

    def __init__(self, context: NodeContext, service: Service, *databases: Database) -> None:
        self._service, self._databases = service, databases
        body = {"code": "UNAUTHORIZED", "message": "send the node's name and password (HTTP Basic)"}
        refusal = unauthorized(context.name, json.dumps(body).encode(), "application/json")
        self._https = HttpsNode(context, "rest", self._answer, refusal)

    @property
    def access(self) -> tuple[Access, ...]:
        """Where the service listens."""
        return self._https.access

    async def start(self) -> None:
        """Read the databases, then listen."""
        for database in self._databases:
            database.load()
        await self.listen()

    async def stop(self) -> None:
        """Power cut."""
        await self._https.stop()
        for database in self._databases:
            database.close()

    async def listen(self) -> None:
        """Open the port."""
        await self._https.listen()

    async def refuse(self) -> None:
        """Close the port."""
        await self._https.refuse()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._service.answer(request)
        except ApiError as error:
            return error.response()
