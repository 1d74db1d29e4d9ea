"""What the venue attests at the start is on record, and a key that moves money starts nothing."""

import hashlib
import json

import pytest

from counterpoise.simulator import client
from daemon_process import daemon

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("venue")]


def test_the_attestation_is_in_the_runs_row_and_a_stolen_kind_of_key_is_refused(
    venue: str,
) -> None:
    with daemon() as running:
        running.patience_seconds = 120
        running.start()
        running.cli("stop")
        assert running.wait_exit(30) == 0
        with running.reader() as reader:
            (run,) = reader.rows("SELECT run_id, attestation_sha256 FROM audit.run")
            rows = reader.rows("SELECT * FROM audit.attestation")
        (attested,) = rows
        assert attested["run_id"] == run["run_id"]
        assert attested["attestation_sha256"] == run["attestation_sha256"]
        body = attested["body"]
        assert hashlib.sha256(body.encode()).hexdigest() == run["attestation_sha256"]
        facts = json.loads(body)
        assert facts["permissions"] == "read_only,trade"
        assert facts["position_mode"] == "one_way"
        assert facts["BTCUSDT.leverage_setting"] == "3"
        assert facts["BTCUSDT.contract_size"] == ("0.01" if venue == "okx" else "1")
        client.fault(
            running.simulator_dir, "key_permission", value="withdraw", duration_seconds=600
        )
        refused = running.cli("run", timeout=150)
        assert refused.returncode == 1
        assert "the API key may withdraw; make one that may only read and trade" in refused.stderr
        told = running.cli("doctor", "--seconds", "1", "--samples", "5", "--json", timeout=150)
        assert told.returncode == 1
        failed = [row["check"] for row in json.loads(told.stdout) if row["outcome"] == "failed"]
        assert "key permissions" in failed
