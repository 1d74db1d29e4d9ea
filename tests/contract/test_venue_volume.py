"""What was traded in a day is told of every instrument."""

from counterpoise.domain.events import TradedVolume


async def test_the_volume_of_a_day_is_told_of_every_instrument(desk):
    await desk.market.of_all(TradedVolume, set(desk.rules), seconds=20)
    for told in desk.market.of(TradedVolume):
        assert told.volume_quote > 0
        assert told.received_ns - told.event_ns < 86_400_000_000_000
