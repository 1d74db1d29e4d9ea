import pytest

from counterpoise.venues.okx.checksum import checksum


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        # Worked examples of the channel's page (venues.md 5.2).
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], -1881014294),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], 831078360),
        ([("8476.98", "415"), ("8475.55", "100")], [("8477", "7"), ("8477.34", "85")], -1269175945),
    ],
)
def test_worked_examples(bids, asks, expected):
    assert checksum(tuple(bids), tuple(asks)) == expected


def test_only_the_best_25_count():
    bids = tuple((str(1000 - place), "1") for place in range(30))
    asks = tuple((str(1001 + place), "1") for place in range(30))
    assert checksum(bids, asks) == checksum(bids[:25], asks[:25])
    assert checksum(bids[:24], asks) != checksum(bids, asks)
