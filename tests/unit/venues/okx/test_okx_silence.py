"""An input that misses its rhythm on a living socket costs the connection, and only then."""

from decimal import Decimal

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped
from counterpoise.venues.okx.account_stream import AccountConversation
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.market_stream import RHYTHM, BookConversation, MarkConversation
from counterpoise.venues.silence import SILENT_SECONDS_MAX, SilenceWatch

SYMBOLS = {
    "BTCUSDT": ("BTC-USDT-SWAP", Decimal("0.01")),
    "ETHUSDT": ("ETH-USDT-SWAP", Decimal("0.1")),
}
ENDPOINTS = OkxEndpoints.loopback(1)
START_NS = 1_790_000_000 * NS_PER_SECOND


def at(seconds: float) -> int:
    return START_NS + int(seconds * NS_PER_SECOND)


def mark(inst_id: str) -> bytes:
    return (
        f'{{"arg":{{"channel":"mark-price","instId":"{inst_id}"}},"data":'
        f'[{{"instId":"{inst_id}","markPx":"1","ts":"1790000000000"}}]}}'
    ).encode()


def funding(inst_id: str) -> bytes:
    return (
        f'{{"arg":{{"channel":"funding-rate","instId":"{inst_id}"}},"data":[{{"instId":"{inst_id}",'
        '"fundingRate":"0.0001","fundingTime":"1790000000000","ts":"1790000000000"}]}'
    ).encode()


def test_one_lost_mark_among_living_ones_is_noticed() -> None:
    spoken = MarkConversation(ENDPOINTS, SYMBOLS)
    spoken.begin(at(0))
    for second in range(30):
        spoken.hear(mark("BTC-USDT-SWAP"), at(second))
        spoken.watch(at(second))
    with pytest.raises(Dropped, match="no mark-price ETH-USDT-SWAP for 30 s"):
        spoken.watch(at(30))


def test_marks_in_their_rhythm_are_enough_and_funding_has_its_own() -> None:
    spoken = MarkConversation(ENDPOINTS, SYMBOLS)
    spoken.begin(at(0))
    for second in range(0, 300, 10):
        for inst_id, _ in SYMBOLS.values():
            spoken.hear(mark(inst_id), at(second))
        spoken.hear(funding("ETH-USDT-SWAP"), at(second))
        spoken.watch(at(second))
    with pytest.raises(Dropped, match="no funding-rate BTC-USDT-SWAP for 300 s"):
        spoken.watch(at(300))


def test_a_book_that_is_not_even_confirmed_is_lost() -> None:
    spoken = BookConversation(ENDPOINTS, SYMBOLS)
    spoken.begin(at(0))
    spoken.watch(at(149))
    with pytest.raises(Dropped, match="no books BTC-USDT-SWAP for 150 s"):
        spoken.watch(at(150))


def test_a_balance_that_is_not_repeated_is_lost_though_orders_come() -> None:
    key = OkxCredentials(api_key="k", secret="s", passphrase="p")
    spoken = AccountConversation(ENDPOINTS, key, SYMBOLS)
    spoken.begin(at(0))
    for channel in ("orders", "positions", "account"):
        spoken.hear(f'{{"event":"subscribe","arg":{{"channel":"{channel}"}}}}'.encode(), at(0))
    balance = (
        b'{"arg":{"channel":"account"},"data":[{"uTime":"1790000000000","details":'
        b'[{"ccy":"USDT","eq":"1","cashBal":"1"}]}]}'
    )
    spoken.hear(balance, at(15))
    spoken.hear(b'{"arg":{"channel":"positions"},"data":[]}', at(30))
    spoken.watch(at(34))
    with pytest.raises(Dropped, match="no account for 20 s"):
        spoken.watch(at(35))


def test_a_dead_market_is_waited_for_longer_and_longer_until_it_speaks() -> None:
    watch = SilenceWatch()
    watch.expect("mark-price", ["A"], 30, at(0))
    now, waits = 0.0, []
    for _ in range(9):
        step = now
        while True:
            step += 1
            try:
                watch.look(at(step))
            except Dropped:
                break
        waits.append(step - now)
        now = step
        watch.expect("mark-price", ["A"], 30, at(now))
    assert waits == [30, 60, 120, 240, 480, 960, 1920, SILENT_SECONDS_MAX, SILENT_SECONDS_MAX]
    watch.hear("mark-price", "A", at(now), 30)
    watch.look(at(now + 29))
    with pytest.raises(Dropped):
        watch.look(at(now + 30))


def test_the_limits_leave_every_input_several_beats() -> None:
    rhythm = RHYTHM
    assert (rhythm.mark, rhythm.book, rhythm.account, rhythm.funding) == (30, 150, 20, 300)
