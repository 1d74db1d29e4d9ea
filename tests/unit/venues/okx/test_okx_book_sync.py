from counterpoise.venues.okx.book_sync import BookSequence, Verdict


def heard(*pairs, action="update"):
    sequence = BookSequence()
    sequence.hear("snapshot", -1, 10, empty=False)
    return [sequence.hear(action, *pair, empty=pair[0] == pair[1]) for pair in pairs]


def test_the_documented_run_is_valid():
    # venues.md 5.2: (-1,10) (10,15) (15,15) (15,3) (3,5)
    assert heard((10, 15), (15, 15), (15, 3), (3, 5)) == [
        Verdict.DELTA,
        Verdict.IDLE,
        Verdict.DELTA,
        Verdict.DELTA,
    ]


def test_a_gap_is_named_once_and_stays_until_it_is_reset():
    assert heard((10, 15), (16, 20)) == [Verdict.DELTA, Verdict.GAP]


def test_nothing_is_applied_before_a_snapshot():
    sequence = BookSequence()
    assert sequence.hear("update", 5, 6, empty=False) is Verdict.WAITING
    assert sequence.hear("snapshot", -1, 7, empty=False) is Verdict.SNAPSHOT
    assert sequence.hear("update", 7, 9, empty=False) is Verdict.DELTA
    sequence.reset()
    assert sequence.hear("update", 9, 11, empty=False) is Verdict.WAITING


def test_a_snapshot_may_come_at_any_time():
    sequence = BookSequence()
    sequence.hear("snapshot", -1, 10, empty=False)
    assert sequence.hear("snapshot", -1, 3, empty=False) is Verdict.SNAPSHOT
    assert sequence.last == 3


def test_equal_numbers_with_levels_are_a_change():
    sequence = BookSequence()
    sequence.hear("snapshot", -1, 10, empty=False)
    assert sequence.hear("update", 10, 10, empty=False) is Verdict.DELTA
