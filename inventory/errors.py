"""What the inventory can refuse.

TurnupError
├── NotFound
│   ├── InstanceNotFound        INSTANCE_NOT_FOUND 404
│   ├── PoolNotFound            POOL_NOT_FOUND 404
│   ├── AllocationNotFound      ALLOCATION_NOT_FOUND 404
│   ├── DeviceNotFound          DEVICE_NOT_FOUND 404
│   ├── NodeNotFound            NODE_NOT_FOUND 404
│   └── PartyNotFound           PARTY_NOT_FOUND 404
├── InvalidInput
│   ├── KindUnknown             KIND_UNKNOWN 400
│   ├── KindInvalid             KIND_INVALID 400
│   ├── InvalidRange            INVALID_RANGE 400
│   ├── InvalidPrefix           INVALID_PREFIX 400
│   ├── ValueInvalid            VALUE_INVALID 400
│   ├── ValueOutsidePool        VALUE_OUTSIDE_POOL 400
│   ├── DeviceInvalid           DEVICE_INVALID 400
│   ├── PolicyUnknown           POLICY_UNKNOWN 400
│   ├── BandUnknown             BAND_UNKNOWN 400
│   ├── ImportInvalid           IMPORT_INVALID 400
│   └── TopologyConflict        TOPOLOGY_CONFLICT 400
└── Conflict
    ├── KindConflict            KIND_CONFLICT 409
    ├── PoolExists              POOL_EXISTS 409
    ├── PoolOverlap             POOL_OVERLAP 409
    ├── PoolExhausted           POOL_EXHAUSTED 409
    ├── PoolDraining            POOL_DRAINING 409
    ├── PoolInUse               POOL_IN_USE 409
    ├── ValueTaken              VALUE_TAKEN 409
    ├── ValueQuarantined        VALUE_QUARANTINED 409
    ├── OwnedByOrder            OWNED_BY_ORDER 409
    ├── LifecycleInvalid        LIFECYCLE_INVALID 409
    ├── Contention              CONTENTION 409 (transient)
    ├── NoAccessPath            NO_ACCESS_PATH 409
    └── NoPortFits              NO_PORT_FITS 409
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound


class InstanceNotFound(NotFound):
    """No product, service or resource instance has this id (at that time)."""

    code = "INSTANCE_NOT_FOUND"
    reason = "The inventory has no such instance"


class PoolNotFound(NotFound):
    """No pool has this id, or this kind and scope."""

    code = "POOL_NOT_FOUND"
    reason = "There is no such pool"


class AllocationNotFound(NotFound):
    """The owner holds no value (any more)."""

    code = "ALLOCATION_NOT_FOUND"
    reason = "The owner holds no allocation"


class DeviceNotFound(NotFound):
    """The device registry does not know this name."""

    code = "DEVICE_NOT_FOUND"
    reason = "The device registry has no such device"


class NodeNotFound(NotFound):
    """The connectivity graph has no such place, splitter, device or port."""

    code = "NODE_NOT_FOUND"
    reason = "The connectivity graph has no such node"


class PartyNotFound(NotFound):
    """No product or service in the inventory names this party."""

    code = "PARTY_NOT_FOUND"
    reason = "No product or service names this party"


class KindUnknown(InvalidInput):
    """No pool kind of this name is declared."""

    code = "KIND_UNKNOWN"
    reason = "No such pool kind is declared"


class KindInvalid(InvalidInput):
    """A document that should declare a pool kind says something that no kind can be."""

    code = "KIND_INVALID"
    reason = "The declaration of the pool kind is not valid"


class InvalidRange(InvalidInput):
    """The range is empty, missing, or wider than the kind allows."""

    code = "INVALID_RANGE"
    reason = "The range of values is not valid for this kind"


class InvalidPrefix(InvalidInput):
    """The prefix is malformed, has host bits, or is of the wrong family or length."""

    code = "INVALID_PREFIX"
    reason = "The prefix is not valid for this kind"


class ValueInvalid(InvalidInput):
    """The text is no value of this kind."""

    code = "VALUE_INVALID"
    reason = "The text is not a value of this kind"


class ValueOutsidePool(InvalidInput):
    """The value lies outside the pool's ranges, or is excluded from it."""

    code = "VALUE_OUTSIDE_POOL"
    reason = "The value does not belong to the pool"


class DeviceInvalid(InvalidInput):
    """A device entry has a field that is unknown or not valid."""

    code = "DEVICE_INVALID"
    reason = "The device entry is not valid"


class TopologyConflict(InvalidInput):
    """A topology contradicts itself: a link to an unknown node, or one port with two links."""

    code = "TOPOLOGY_CONFLICT"
    reason = "The topology contradicts itself"


class PolicyUnknown(InvalidInput):
    """No placement policy of this name exists."""

    code = "POLICY_UNKNOWN"
    reason = "No such placement policy"


class BandUnknown(InvalidInput):
    """The pool has no reserved band of this name."""

    code = "BAND_UNKNOWN"
    reason = "The pool has no reserved band of this name"


class ImportInvalid(InvalidInput):
    """A file of pools and allocations has lines that cannot be; all of them are listed, nothing was imported."""

    code = "IMPORT_INVALID"
    reason = "The file of pools has lines that are not valid"


class KindConflict(Conflict):
    """A pool kind of this name has other content and is in use, or is one of Turnup's own."""

    code = "KIND_CONFLICT"
    reason = "A pool kind of this name has other content"


class PoolExists(Conflict):
    """A pool of this kind and scope exists with other content."""

    code = "POOL_EXISTS"
    reason = "A pool of this kind and scope exists already"


class PoolOverlap(Conflict):
    """Another pool of the same address domain holds some of these values."""

    code = "POOL_OVERLAP"
    reason = "The values overlap those of another pool"


class PoolExhausted(Conflict):
    """No value of the pool is free now."""

    code = "POOL_EXHAUSTED"
    reason = "No value of the pool is free"


class PoolDraining(Conflict):
    """The pool is being emptied and gives nothing new."""

    code = "POOL_DRAINING"
    reason = "The pool is being emptied and gives nothing new"


class PoolInUse(Conflict):
    """Somebody holds values that would be taken out of the pool, or other pools were carved from it."""

    code = "POOL_IN_USE"
    reason = "Values of the pool are held"


class ValueTaken(Conflict):
    """Another owner holds this value."""

    code = "VALUE_TAKEN"
    reason = "The value belongs to another owner"


class ValueQuarantined(Conflict):
    """The value was released a short while ago and rests."""

    code = "VALUE_QUARANTINED"
    reason = "The value is in quarantine after its release"


class OwnedByOrder(Conflict):
    """The value belongs to an order: only the order may give it back."""

    code = "OWNED_BY_ORDER"
    reason = "The value belongs to an order"


class LifecycleInvalid(Conflict):
    """A resource cannot go from its present state to the wanted one."""

    code = "LIFECYCLE_INVALID"
    reason = "The resource's life does not go that way"


class Contention(Conflict):
    """Two transactions waited for each other's values; this one was rolled back and can simply be repeated."""

    code = "CONTENTION"
    reason = "Another transaction wanted the same values at the same moment"
    transient = True


class NoAccessPath(Conflict):
    """No access port of the wanted technology can be reached from the place."""

    code = "NO_ACCESS_PATH"
    reason = "No access port can be reached from the place"


class NoPortFits(Conflict):
    """Ports reach the place and have free ids, but the catalog's rules turn each of them down."""

    code = "NO_PORT_FITS"
    reason = "The catalog's rules turn down every reachable port"
