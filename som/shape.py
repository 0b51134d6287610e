"""How TMF641 4.1 names the parts of an order."""

from __future__ import annotations

from orders.wire import OrderShape
from tmf.paths import BASE_PATHS

SHAPE = OrderShape(
    layer="som",
    api="641",
    base=BASE_PATHS["641"],
    path="/serviceOrder",
    type="ServiceOrder",
    key="serviceOrder",
    items="serviceOrderItem",
    thing="service",
    cancel_path="/cancelServiceOrder",
    cancel_type="CancelServiceOrder",
    cancel_first_state="accepted",
)
