"""The server: application, HTTP and, with a topology, its lab."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Lifespan

from activation.credentials import Credentials
from activation.drivers.eos import preload
from com.api import routers as com_routers
from lab import api as lab
from lab.api import LabInfo
from rom.api import routers as rom_routers
from som.api import routers as som_routers
from store import Database
from store.errors import InvalidInput
from tmf.collection import ERRORS
from tmf.errors import install
from turnup.application import Application, state_folder
from turnup.catalogs import import_folders
from turnup.data import find_file
from turnup.errors import PortInUse
from turnup.forecast import Forecaster
from turnup.http import (
    devices,
    forecast,
    health,
    insight,
    instances,
    listeners,
    pools,
    sources,
    work,
)
from turnup.http import lab as lab_http
from turnup.http.strict import EncodedNames
from turnup.importing import Importer, import_bases
from turnup.settings import Settings
from turnup.topology import import_lab, lab_logins
from turnup.trace import Tracer

Json = dict[str, Any]
log = logging.getLogger("turnup")
OWNER_WATCH_S = 0.5


class CatalogFolders(BaseModel):
    """Folders of this machine to load catalogs from."""

    model_config = ConfigDict(extra="forbid")

    folders: list[str] = Field(min_length=1)


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; a lab that this server brought up is taken down at a clean stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "nornir", "asyncssh", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for stop in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal again when it has stopped: by default that would end us before `finally`
        signal.signal(stop, _leave)
    listening = listen(settings.host, settings.port)
    running = start_lab(settings)
    try:
        _serve(settings, running, listening)
    finally:
        listening.close()
        if running and running.started:
            lab.down(running.name, settings.state_dir)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Take the server's port before anything else is touched. Raises PORT_IN_USE."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortInUse(
            f"{host}:{port} cannot be used ({error.strerror}); stop what listens there, or give another --port."
        ) from error
    return listening


def _serve(settings: Settings, running: LabInfo | None, listening: socket.socket) -> None:
    application = Application(settings, lab_credentials(running))
    try:
        if running:
            import_lab(application.database, running)
            import_bases(application)
        http = build(application, running)
        config = uvicorn.Config(http, log_level="warning", access_log=False)
        if settings.owner_pid:
            end_with(settings.owner_pid)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        log.info("serving on http://%s:%s", host, listening.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        application.stop()


def end_with(owner: int) -> None:
    """Stop this server (SIGTERM, so cleanly) when the process that owns it is gone."""

    def watch() -> None:
        while _alive(owner):
            time.sleep(
                OWNER_WATCH_S
            )  # there is no event for the end of a process that is not our child
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start_lab(settings: Settings) -> LabInfo | None:
    """Bring the settings' topology up, or use it when it is up already."""
    if settings.topology is None or settings.runtime == "none":
        return None
    if settings.environment == "production":
        raise InvalidInput("A production server takes no --topology; import real devices instead.")
    return lab.up(find_file(settings.topology, "topologies"), state_folder(settings))


def lab_credentials(running: LabInfo | None) -> Credentials:
    """Return the credentials of the lab's devices; they are never stored."""
    return Credentials(lab=lab_logins(running) if running else {})


def build(application: Application, running: LabInfo | None) -> FastAPI:
    """Return the HTTP application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        application.start()
        if application.has_endpoint("eapi"):
            preload()
        yield

    http = limited(application.database, lifespan)
    for api in _tmf(application):
        http.include_router(api)
    tracer = Tracer(application.database, application.ledger, application.activation)
    layers = insight.Layers(application.com, application.som, application.rom)
    http.include_router(forecast.router(application.database, Forecaster(application)))
    http.include_router(devices.router(application.database, Importer(application)))
    http.include_router(devices.config_router(application.database, application.activation))
    http.include_router(work.router(application.database, application.ledger, application.rom))
    http.include_router(instances.router(application.database))
    http.include_router(insight.router(application.database, layers, tracer))
    http.include_router(listeners.router(application.database, application.com, application.som))
    http.include_router(sources.router(application.database, application.exchange))
    http.include_router(health.router(application))
    http.include_router(_catalog_router(application))
    if running:
        http.include_router(lab_http.router(running.name, application.settings.state_dir))
    return http


def limited(database: Database, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return an HTTP application with error bodies, limits and the calls on pools.

    Those come first: values are taken a thousand times as often as anything else, and routes are tried in order.
    """
    http = FastAPI(title="Turnup", version="0.1.0", lifespan=lifespan, responses=ERRORS)
    # inside what refuses NUL characters, which looks for them in the decoded path
    http.add_middleware(EncodedNames, prefix=pools.PREFIX)
    install(http, pools.OTHER_TYPES)
    http.include_router(pools.router(database))
    return http


def _tmf(application: Application) -> list[APIRouter]:
    parts, hub = application.parts, application.hub
    return [
        *com_routers(parts.com, application.com, hub),
        *som_routers(parts.som, application.som, hub),
        *rom_routers(parts.rom, application.rom, hub),
    ]


def _catalog_router(application: Application) -> APIRouter:
    api = APIRouter(prefix="/turnup/v1", tags=["catalogs"])

    @api.post("/catalogs", status_code=201)
    def load(body: CatalogFolders) -> Json:
        result = import_folders(application.database, [Path(folder) for folder in body.folders])
        application.catalogs.forget()
        return {"inserted": result.inserted, "unchanged": result.unchanged}

    return api
