"""Wiring: one database, one ledger, three layers, activation and events, made once and passed down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from activation.api import Activation
from activation.credentials import Credentials
from activation.nornir_plugins.fleet import NornirFleet
from catalog.repository import Catalogs
from com.handlers import ComParts
from com.service import Com
from inventory import devices as registry
from inventory.devices import Device
from inventory.values import kinds
from orders.executor import EmbeddedExecutor, Runner
from orders.ledger import Ledger
from rom.handlers import RomParts
from rom.service import Rom
from som.handlers import SomParts
from som.service import Som
from store import Database
from tmf.callbacks import CallbackPolicy
from tmf.deliverer import Deliverer
from tmf.events import Events
from tmf.hub import Hub
from tmf.ports import ResourceOrdering, ServiceOrdering
from turnup.catalogs import import_folders
from turnup.exchange import Exchange
from turnup.maintenance import Maintenance
from turnup.migrate import reaching, upgrade
from turnup.settings import Settings
from turnup.tables import claim_environment


@dataclass(frozen=True, slots=True)
class Parts:
    """What each layer works with."""

    com: ComParts
    som: SomParts
    rom: RomParts


@dataclass(frozen=True, slots=True)
class Below:
    """Layers that are other servers (tmf.http_ports); None: the one in this process."""

    som: ServiceOrdering | None = None
    rom: ResourceOrdering | None = None


class Application:
    """Everything that runs in a server process, without HTTP.

    Raises DATABASE_IN_USE, ENVIRONMENT_MISMATCH, CATALOG_CONFLICT.
    """

    def __init__(
        self, settings: Settings, credentials: Credentials, below: Below | None = None
    ) -> None:
        self.settings = settings
        self._below = below or Below()
        with reaching(settings.database_url):
            self.database = Database(
                settings.database_url, exclusive=True, synchronous=settings.synchronous
            )
        try:
            self._open(settings, credentials)
        except BaseException:
            self.database.close()
            raise

    def _open(self, settings: Settings, credentials: Credentials) -> None:
        upgrade(settings.database_url)
        with self.database.write() as tx:
            claim_environment(tx, settings.environment)
            kinds.load(tx)
        import_folders(self.database, settings.catalogs)
        self.catalogs = Catalogs(self.database)
        self.events = Events(self.database)
        policy = CallbackPolicy(allow_loopback=True)
        self.hub = Hub(self.database, policy)
        self.deliverer = Deliverer(self.events, policy=policy)
        self.ledger = Ledger(settings=settings.engine)
        self.fleet = NornirFleet(self._devices, credentials)
        self.activation = Activation(self.database, self.fleet, settings=settings.activation)
        self._layers()
        self.executor = EmbeddedExecutor(
            self.database, self.ledger, threads=settings.engine_threads
        )
        self._runner = Runner(self.database, self.ledger)
        self._maintenance = Maintenance(self.database)
        self.exchange = Exchange(self.database, credentials, self._imported)

    def _layers(self) -> None:
        shared = self.database, self.ledger, self.catalogs
        rom_parts = RomParts(*shared, self.activation)
        self.rom = Rom(rom_parts)
        som_parts = SomParts(*shared, self._below.rom or self.rom)
        self.som = Som(som_parts)
        com_parts = ComParts(*shared, self._below.som or self.som)
        self.com = Com(com_parts)
        self.parts = Parts(com_parts, som_parts, rom_parts)
        self.events.subscribe_local("som", "652", self.som.on_resource_event)
        self.events.subscribe_local("com", "641", self.com.on_service_event)

    def start(self) -> None:
        """Begin to work: deliver events, run tasks (what a dead process left is taken up at once)."""
        self.deliverer.start()
        self.executor.start(self._runner.run_one)
        self._maintenance.start()
        self.exchange.start()

    def stop(self) -> None:
        """Let what runs finish, then close everything."""
        self.exchange.stop()
        self._maintenance.stop()
        self.executor.stop()
        self.deliverer.stop()
        self.activation.stop()
        self.fleet.stop()
        self.database.close()

    @property
    def chained(self) -> bool:
        """Return whether all three layers are in this process, so that its order book is the whole one."""
        return self._below.som is None and self._below.rom is None

    def _imported(self) -> None:
        """Keep what devices have that an import brought."""
        from turnup.importing import import_bases

        import_bases(self)

    def has_endpoint(self, protocol: str) -> bool:
        """Tell whether any device of the registry is reached by a protocol."""
        with self.database.read() as rx:
            return any(
                endpoint["protocol"] == protocol
                for device in registry.devices(rx)
                for endpoint in device.endpoints
            )

    def _devices(self, names: Sequence[str]) -> list[Device]:
        wanted = set(names)
        with self.database.read() as rx:
            return [device for device in registry.devices(rx) if device.name in wanted]


def state_folder(settings: Settings) -> Path:
    """Return the state folder, made if it is not there."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return settings.state_dir
