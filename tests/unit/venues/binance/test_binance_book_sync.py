"""Binance's sequence rule: buffering, seeding, and `pu` after that."""

from counterpoise.venues.binance import book_sync
from counterpoise.venues.binance.book_sync import BookSync, Verdict
from counterpoise.venues.binance.frames import DepthUpdate


def update(first: int, final: int, previous: int) -> DepthUpdate:
    return DepthUpdate(
        symbol="BTCUSDT",
        first=first,
        final=final,
        previous=previous,
        bids=(),
        asks=(),
        matched_ms=1,
    )


def test_messages_wait_until_the_snapshot_and_follow_it():
    book = BookSync()
    early, fitting, later = update(10, 20, 8), update(23, 30, 20), update(35, 40, 30)
    assert [book.hear(each) for each in (early, fitting, later)] == [Verdict.WAITING] * 3
    assert book.seed(25) == (fitting, later)
    assert book.last == 40
    assert book.hear(update(43, 50, 40)) is Verdict.DELTA


def test_a_snapshot_between_two_messages_is_followed_by_the_next():
    book = BookSync()
    book.hear(update(10, 20, 8))
    # Not inside [U, u] of any message, and still nothing is missing.
    assert book.seed(21) == ()
    assert book.hear(update(23, 30, 20)) is Verdict.DELTA
    assert book.last == 30


def test_a_snapshot_ahead_of_the_stream_passes_over_what_it_has():
    book = BookSync()
    assert book.seed(100) == ()
    assert book.hear(update(40, 60, 38)) is Verdict.OLD
    assert book.hear(update(61, 90, 60)) is Verdict.OLD
    assert book.hear(update(95, 101, 90)) is Verdict.DELTA
    assert book.last == 101


def test_a_snapshot_older_than_the_stream_is_refused_and_the_messages_stay():
    book = BookSync()
    waiting = update(50, 60, 40)
    book.hear(waiting)
    assert book.seed(30) is None
    assert book.last is None
    assert book.seed(45) == (waiting,)


def test_a_gap_among_the_waiting_is_a_snapshot_that_does_not_help():
    book = BookSync()
    book.hear(update(10, 20, 8))
    book.hear(update(40, 50, 35))
    assert book.seed(15) is None
    assert book.seed(36) == (update(40, 50, 35),)


def test_after_the_first_message_only_an_equal_pu_follows():
    book = BookSync()
    book.seed(15)
    assert book.hear(update(10, 20, 8)) is Verdict.DELTA
    # An overlap is not continuity: ccxt would take it, the venue's rule does not.
    overlapping = update(18, 30, 17)
    assert book.hear(overlapping) is Verdict.GAP
    assert book.last is None
    assert book.hear(update(35, 40, 30)) is Verdict.WAITING
    # What broke the sequence is kept for the snapshot that comes.
    assert book.seed(25) == (overlapping, update(35, 40, 30))


def test_what_waits_is_bounded_and_the_oldest_go_first():
    book = BookSync()
    for number in range(book_sync.BUFFERED_MAX + 5):
        book.hear(update(10 * number + 5, 10 * number + 10, 10 * number))
    assert book.seed(20) is None
    found = book.seed(50)
    assert found is not None
    assert (found[0].previous, len(found)) == (50, book_sync.BUFFERED_MAX)


def test_a_reset_forgets_book_and_messages():
    book = BookSync()
    book.hear(update(10, 20, 8))
    book.seed(15)
    book.reset()
    assert book.last is None
    assert book.seed(15) == ()
