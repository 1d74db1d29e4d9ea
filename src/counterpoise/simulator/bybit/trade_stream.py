"""Order entry by WebSocket (docs v5 "Trade"): the same operations as REST, answered by `reqId`."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.bybit import auth, orders
from counterpoise.simulator.bybit.calls import Answer, Desk, int_field
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.limits import Limits

#: Request ids remembered to find a repetition.
REQUESTS_MAX: Final = 1_000


class TradeStream:
    """Answers requests of /v5/trade; REST and stream share one limit per operation."""

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self._desk = desk
        self._limits = limits
        self._request_ids: deque[str | int] = deque(maxlen=REQUESTS_MAX)

    def answer(
        self, operation: str, args: Sequence[object], header: Mapping[str, object],
        request_id: str | int | None, *, known: bool,
    ) -> Row:  # fmt: skip
        """Return the answer to one request; `known` = the session's auth frame was right."""
        now_ns = self._desk.venue.clock.told_ns()
        answer: Row = {
            "reqId": "" if request_id is None else request_id,
            "retCode": Code.OK.value,
            "retMsg": "OK",
            "op": operation,
            "data": {},
            "retExtInfo": {},
            "header": {"Timenow": str(now_ns // units.NS_PER_MS)},
        }
        try:
            if not known:
                raise WireError(Code.KEY, "Request not authorized")
            result = self._perform(operation, args, header, request_id, answer)
        except WireError as wrong:
            return answer | {"retCode": wrong.code.value, "retMsg": wrong.message}
        if isinstance(result, Answer):
            return answer | {"data": result.result, "retExtInfo": result.extra}
        return answer | {"data": result}

    def _perform(
        self, name: str, args: Sequence[object], header: Mapping[str, object],
        request_id: str | int | None, answer: Row,
    ) -> Row | Answer:  # fmt: skip
        clock = self._desk.venue.clock
        found = orders.STREAM_OPERATIONS.get(name)
        if found is None:
            raise WireError(Code.PATH)
        if len(args) != 1 or not isinstance(args[0], dict):
            raise WireError(Code.PARAMETER, "params error: args must have one object")
        stamp = int_field(header.get("X-BAPI-TIMESTAMP"), "X-BAPI-TIMESTAMP")
        window = int_field(header.get("X-BAPI-RECV-WINDOW"), "X-BAPI-RECV-WINDOW")
        if stamp is None:
            raise WireError(Code.PARAMETER, "params error: X-BAPI-TIMESTAMP is missing")
        auth.check_stamp(
            stamp,
            window or auth.WINDOW_MS,
            now_ns=clock.told_ns(),
            wall_ns=time.time_ns() + clock.jump_ns,
        )
        if request_id:
            if request_id in self._request_ids:
                raise WireError(Code.REQUEST_DUPLICATE)
            self._request_ids.append(request_id)
        if self._desk.rules.read_only:
            raise WireError(Code.PERMISSION)
        operation, several = found
        weight = len(orders.batch_items(args[0])) if several else 1
        path = f"/v5/{name.replace('.', '/')}"
        allowance = self._limits.account(path, clock.told_ns(), weight)
        answer["header"] = {"Timenow": str(clock.told_ns() // units.NS_PER_MS), **allowance.headers}
        if not allowance.granted:
            raise WireError(Code.RATE)
        self._desk.venue.catch_up()
        if several:
            return orders.batch(self._desk, operation, args[0])
        return operation(self._desk, args[0])
