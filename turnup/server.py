"""The server: application, HTTP and, with a topology, its lab."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI

from activation.credentials import Credentials
from activation.drivers.base import DriverError
from activation.drivers.eos import preload
from activation.fragments import BASE
from com.api import routers as com_routers
from inventory import devices as registry
from lab import api as lab
from lab.api import LabInfo
from rom.api import routers as rom_routers
from som.api import routers as som_routers
from store import Rx
from store.errors import InvalidInput
from tmf.errors import install
from turnup.application import Application, state_folder
from turnup.catalogs import import_folders
from turnup.data import find_file
from turnup.http import devices, health, insight, pools, work
from turnup.http import lab as lab_http
from turnup.settings import Settings
from turnup.topology import import_lab, lab_logins
from turnup.trace import Tracer

Json = dict[str, Any]
log = logging.getLogger("turnup")
OWNER_WATCH_S = 0.5


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; a lab that this server brought up is taken down at a clean stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    running = start_lab(settings)
    application = Application(settings, lab_credentials(running))
    try:
        if running:
            import_lab(application.database, running)
            import_bases(application)
        http = build(application, running)
        config = uvicorn.Config(
            http, host=settings.host, port=settings.port, log_level="warning", access_log=False
        )
        if settings.owner_pid:
            end_with(settings.owner_pid)
        log.info("serving on http://%s:%s", settings.host, settings.port)
        uvicorn.Server(config).run()
    finally:
        application.stop()
        if running and running.started:
            lab.down(running.name, settings.state_dir)


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


def import_bases(application: Application) -> None:
    """Keep what each newly imported device has, so that audits know what was there before any order."""
    with application.database.read() as rx:
        managed = [d.name for d in registry.devices(rx) if d.admin_state == "managed"]
        new = [name for name in managed if not _has_base(application, rx, name)]
    for name in new:
        try:
            application.activation.import_base(name)
        except DriverError as error:
            log.warning("%s; what it has is not known yet, import it again", error.message)


def _has_base(application: Application, rx: Rx, device: str) -> bool:
    return any(f["feature"] == BASE for f in application.activation.intended(rx, device))


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
        preload()
        yield

    http = FastAPI(title="Turnup", version="0.1.0", lifespan=lifespan)
    install(http)
    for api in _tmf(application):
        http.include_router(api)
    tracer = Tracer(application.database, application.ledger, application.activation)
    layers = insight.Layers(application.com, application.som, application.rom)
    http.include_router(pools.router(application.database))
    http.include_router(devices.router(application.database, _importer(application)))
    http.include_router(devices.config_router(application.database, application.activation))
    http.include_router(work.router(application.database, application.ledger, application.rom))
    http.include_router(insight.router(application.database, layers, tracer))
    http.include_router(health.router(application))
    http.include_router(_catalog_router(application))
    if running:
        http.include_router(lab_http.router(running.name, application.settings.state_dir))
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
    def load(body: dict[str, list[str]]) -> Json:
        result = import_folders(application.database, [Path(folder) for folder in body["folders"]])
        application.catalogs.forget()
        return {"inserted": result.inserted, "unchanged": result.unchanged}

    return api


def _importer(application: Application) -> Any:
    def importing(source: str) -> Json:
        state = application.settings.state_dir
        path = Path(source)
        info = lab.connect(path.stem.removesuffix(".clab") if path.exists() else source, state)
        if info is None:
            raise InvalidInput(f"No lab {source} runs here; start it with `turnup lab up`.")
        report = import_lab(application.database, info)
        import_bases(application)
        return {
            "devices": report.devices,
            "ports": report.ports,
            "links": report.links,
            "pools": report.pools,
        }

    return importing
