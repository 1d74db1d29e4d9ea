"""Bybit answers an order before it has checked it: some are rejected a moment after "taken"."""

import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from counterpoise.ports import Clock
from counterpoise.simulator.bybit import errors
from counterpoise.simulator.bybit.order_rows import ORDER_EMPTY
from counterpoise.simulator.bybit.symbols import milliseconds
from virtual_wire import Request

_CREATE: Final = "/v5/order/create"
_ASKED: Final = ("/v5/order/realtime", "/v5/order/history")


class Rejections:
    """The orders that were answered and never stood; they are told and listed as rejected."""

    def __init__(self, clock: Clock, push: Callable[[bytes], None]) -> None:
        self._clock = clock
        self._push = push
        self._rows: dict[str, dict[str, Any]] = {}

    def takes(self, request: Request) -> bool:
        """Tell whether a request is an order that could be rejected later: no stop."""
        return request.path == _CREATE and "triggerPrice" not in json.loads(request.body)

    def answer(self, request: Request) -> web.Response:
        """Answer an order as taken, and tell that it was rejected."""
        wanted = json.loads(request.body)
        key, now = wanted["orderLinkId"], milliseconds(self._clock.now_ns())
        row = {
            **ORDER_EMPTY,
            **{name: wanted[name] for name in ("symbol", "side", "qty", "orderType", "reduceOnly")},
            "orderId": f"rejected-{len(self._rows) + 1}",
            "orderLinkId": key,
            "orderStatus": "Rejected",
            "rejectReason": "EC_Others",
            "cancelType": "UNKNOWN",
            "price": wanted.get("price", "0"),
            "avgPrice": "",
            "cumExecQty": "0",
            "createdTime": now,
            "updatedTime": now,
        }
        self._rows[key] = row
        body = {"topic": "order", "creationTime": int(now), "data": [{**row, "category": "linear"}]}
        self._push(errors.encoded(body))
        return self._envelope({"orderId": row["orderId"], "orderLinkId": key})

    def listed(self, request: Request) -> web.Response | None:
        """Answer a question about one of them; None = it is not about one."""
        row = self._rows.get(request.query.get("orderLinkId", ""))
        if request.path not in _ASKED or row is None:
            return None
        return self._envelope({"list": [row], "nextPageCursor": "", "category": "linear"})

    def _envelope(self, result: object) -> web.Response:
        return errors.envelope(result, now_ns=self._clock.now_ns())
