"""How TMF652 4.0 names the parts of an order."""

from __future__ import annotations

from orders.wire import OrderShape
from tmf.paths import BASE_PATHS

SHAPE = OrderShape(
    layer="rom",
    api="652",
    base=BASE_PATHS["652"],
    path="/resourceOrder",
    type="ResourceOrder",
    key="resourceOrder",
    items="orderItem",
    thing="resource",
    cancel_path="/cancelResourceOrder",
    cancel_type="CancelResourceOrder",
    cancel_first_state="acknowledged",
)
