"""What the catalog refuses.

TurnupError
├── InvalidInput
│   ├── CatalogInvalid          CATALOG_INVALID 400
│   └── CharacteristicRefused   (base of the three)
│       ├── CharacteristicUnknown   CHARACTERISTIC_UNKNOWN 400
│       ├── CharacteristicMissing   CHARACTERISTIC_MISSING 400
│       └── CharacteristicInvalid   CHARACTERISTIC_INVALID 400
├── NotFound
│   ├── OfferingNotFound        OFFERING_NOT_FOUND 404
│   └── SpecificationNotFound   SPECIFICATION_NOT_FOUND 404
└── Conflict
    ├── CatalogConflict         CATALOG_CONFLICT 409
    ├── CatalogReadOnly         CATALOG_READ_ONLY 405
    ├── ExpressionFailed        EXPRESSION_FAILED 409
    ├── MapConflict             MAP_CONFLICT 409
    └── SequenceCycle           SEQUENCE_CYCLE 409
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound


class CatalogInvalid(InvalidInput):
    """Product data cannot be read; the message lists every finding with file and path."""

    code = "CATALOG_INVALID"
    reason = "The product data is not valid"


class CharacteristicRefused(InvalidInput):
    """A characteristic of an order or of a decomposition is not as its specification says."""


class CharacteristicUnknown(CharacteristicRefused):
    """A characteristic was given that the specification does not declare."""

    code = "CHARACTERISTIC_UNKNOWN"
    reason = "The specification has no such characteristic"


class CharacteristicMissing(CharacteristicRefused):
    """A characteristic that must have a value has none."""

    code = "CHARACTERISTIC_MISSING"
    reason = "A characteristic that must be given is missing"


class CharacteristicInvalid(CharacteristicRefused):
    """A characteristic has a value that the specification or the offering does not allow."""

    code = "CHARACTERISTIC_INVALID"
    reason = "The value of a characteristic is not allowed"


class OfferingNotFound(NotFound):
    """There is no such product offering (or none that is launched)."""

    code = "OFFERING_NOT_FOUND"
    reason = "There is no such product offering"


class SpecificationNotFound(NotFound):
    """There is no such product, service or resource specification (or none that is launched)."""

    code = "SPECIFICATION_NOT_FOUND"
    reason = "There is no such specification"


class CatalogConflict(Conflict):
    """The same id and version exist already with other content."""

    code = "CATALOG_CONFLICT"
    reason = "The same id and version exist with other content"


class CatalogReadOnly(Conflict):
    """The catalog is changed by loading folders, not through this API."""

    code = "CATALOG_READ_ONLY"
    status = 405
    reason = "The catalog is changed by loading folders"


class ExpressionFailed(Conflict):
    """An expression of the catalog cannot be compiled, or cannot be evaluated for these values."""

    code = "EXPRESSION_FAILED"
    reason = "An expression of the catalog failed"


class MapConflict(Conflict):
    """Two services give one shared child different values with equal precedence."""

    code = "MAP_CONFLICT"
    reason = "Two services give a shared child different values"


class SequenceCycle(Conflict):
    """Items wait for each other in a circle."""

    code = "SEQUENCE_CYCLE"
    reason = "Items wait for each other in a circle"
