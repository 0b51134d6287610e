"""How TMF622 4.0 names the parts of an order."""

from __future__ import annotations

from orders.wire import OrderShape
from tmf.paths import BASE_PATHS

SHAPE = OrderShape(
    layer="com",
    api="622",
    base=BASE_PATHS["622"],
    path="/productOrder",
    type="ProductOrder",
    key="productOrder",
    items="productOrderItem",
    thing="product",
    cancel_path="/cancelProductOrder",
    cancel_type="CancelProductOrder",
    cancel_first_state="acknowledged",
)
