"""What activation refuses before anything is sent. What devices answer is in `activation.drivers.base`.

TurnupError
├── FragmentConflict        FRAGMENT_CONFLICT 409
├── FeatureUnknown          FEATURE_UNKNOWN 400
├── DeviceNotManaged        DEVICE_NOT_MANAGED 409
├── RenderFailed            RENDER_FAILED 400
├── PlatformInvalid         PLATFORM_INVALID 500
├── BatchNotFound           BATCH_NOT_FOUND 404
└── (outcomes, never raised across the facade)
    ├── PlanChanged         PLAN_CHANGED 409
    ├── DeviceDrift         DEVICE_DRIFT 409
    ├── DeviceBusy          DEVICE_BUSY 409, transient
    ├── ReadBackFailed      READ_BACK_FAILED 502
    ├── ChangeInterrupted   CHANGE_INTERRUPTED 503, transient
    └── DeviceUnknown       DEVICE_UNKNOWN 502
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound, TurnupError


class FragmentConflict(Conflict):
    """Two owners want different values for one path of a device."""

    code = "FRAGMENT_CONFLICT"
    reason = "Two parts of the intended configuration contradict each other"


class FeatureUnknown(InvalidInput):
    """The device's platform has no such feature, or there is no such platform."""

    code = "FEATURE_UNKNOWN"
    reason = "The device's platform cannot do what is asked"


class DeviceNotManaged(Conflict):
    """The device may not be changed: its adminState is not `managed`."""

    code = "DEVICE_NOT_MANAGED"
    reason = "The device may not be changed at present"


class RenderFailed(InvalidInput):
    """A template cannot be filled from the contributions."""

    code = "RENDER_FAILED"
    reason = "The configuration cannot be written from the values at hand"


class PlatformInvalid(TurnupError):
    """A platform folder is wrong: unknown key, missing template, text that its codec cannot read."""

    code = "PLATFORM_INVALID"
    reason = "A platform's data is wrong"


class BatchNotFound(NotFound):
    """There is no such batch."""

    code = "BATCH_NOT_FOUND"
    reason = "There is no such batch"


class PlanChanged(Conflict):
    """The plan is no longer the one that was shown."""

    code = "PLAN_CHANGED"
    reason = "The plan is no longer the one that was shown"


class DeviceDrift(Conflict):
    """A device has, in the paths that are to be changed, something else than is intended."""

    code = "DEVICE_DRIFT"
    reason = "A device was changed by other hands"


class DeviceBusy(Conflict):
    """Another batch holds the device."""

    code = "DEVICE_BUSY"
    reason = "Another batch holds the device"
    transient = True


class ReadBackFailed(TurnupError):
    """A device took the change but does not show it."""

    code = "READ_BACK_FAILED"
    status = 502
    reason = "A device does not show what it accepted"


class ChangeInterrupted(TurnupError):
    """A change was interrupted and undone; it can be tried again."""

    code = "CHANGE_INTERRUPTED"
    status = 503
    reason = "A change was interrupted and undone"
    transient = True


class DeviceUnknown(TurnupError):
    """What a device has is not known; it stays leased until it can be read."""

    code = "DEVICE_UNKNOWN"
    status = 502
    reason = "What a device has is not known"
