"""What is appended to a journal that was closed is said to be lost."""

from pathlib import Path

import pytest

from counterpoise.domain.errors import SpoolFailed
from counterpoise.domain.orders import Durability
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from ledger_samples import RealClock, approved_order, decision, intent_of

#: Nobody listens there; the shipper is never run.
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


async def test_the_end_is_as_final_as_a_dead_disk(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        shipper = Shipper(spool, NOWHERE, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, shipper, RealClock())
        for number in range(1, 701):
            journal.append(decision(number))
        journal.close()
        assert spool.last_seq == 700
        assert journal.lost_count == 0
        assert "closed" in str(journal.failure)
        journal.append(decision(701))
        assert journal.lost_count == 1
        increase, reduction = (approved_order(reduce_only=one) for one in (False, True))
        with pytest.raises(SpoolFailed, match="closed"):
            await journal.journal_order(increase, intent_of(increase))
        order = await journal.journal_order(reduction, intent_of(reduction))
        assert order.durability is Durability.LOG
        assert await journal.flush(5.0) is False
        assert (journal.lost_count, spool.last_seq) == (3, 700)
        journal.close()
