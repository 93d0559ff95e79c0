"""A run of a wallet of two owners (EIP-1271) is cosigned by a real witness, and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import Conflict, UnavailableError, VerificationError
from provenance.ids import from_hex, to_hex
from provenance.judgement.third_parties import Witnesses
from provenance.judgement.trust import Publisher, Trust
from provenance.judgement.trust_file import to_yaml
from provenance.layout import read_json, write_json
from provenance.log.witness.cosignature import WitnessKey
from provenance_cli.judge.log_export import export, read_signed_log
from provenance_cli.judge.witness import make
from provenance_cli.run.cosign import cosign
from tests.integration.test_witnesses import copy_of, serving
from tests.support.chain import Lab
from tests.support.core.wallet import make_wallet
from tests.support.spine import Data, Plan, Run, build_run


@pytest.fixture(scope="module")
def wallets(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    make_wallet(lab, "owner-of-witnessed", "witnessed-wallet")
    plan = Plan("witnessed-wallet", b"of a witnessed wallet", prove=False)
    return build_run(lab, data, tmp_path_factory.mktemp("wallet"), plan)


class Place:
    """A copy of the run, a witness's folder, and the trust file of both."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.home = copy_of(run, folder / "run"), folder / "witness"
        self.vkey = WitnessKey.parse(make(self.home, "witness.example/w"))
        self.file = folder / "trust.yaml"
        wallet = run.lab.session("witnessed-wallet").address
        code = run.lab.reader().final().contract_code(wallet)
        self.trust = replace(
            run.lab.trust,
            publishers=(Publisher(wallet, "two owners", code_hash=code),),
            witnesses=Witnesses((self.vkey,), 1),
        )
        self.believe(self.trust)

    def believe(self, trust: Trust) -> None:
        self.file.write_text(to_yaml(trust))

    def sign(self, change: Callable[[bytes], bytes]) -> None:
        """Change the signatures of all heads."""
        path = self.run.folder.heads
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line["signature"] = to_hex(change(from_hex(line["signature"])))
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def place(wallets: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(wallets, tmp_path)
    monkeypatch.setenv("PROVENANCE_TRUST", str(place.file))
    monkeypatch.setenv("PROVENANCE_HOME", str(wallets.lab.settings.home))
    return place


def test_a_wallets_head_is_cosigned_and_exported(
    lab: Lab, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lab, place.home, place.file) as url:
        cosign(place.run.folder.root, [url])
    assert "witness.example/w signed head" in capsys.readouterr().out
    verdict = place.run.judge(trust=place.trust)
    (claim,) = (c for c in verdict.claims if c.id == "head.witnessed")
    assert claim.holds, claim.text
    export(place.run.folder.root, tmp_path / "out")
    assert (tmp_path / "out" / "checkpoint").read_text().count("— witness.example/w") == 1


@pytest.mark.parametrize(
    "change",
    [lambda both: both[:65] * 2, lambda both: both[65:] + both[:65], lambda both: b""],
    ids=["one owner", "other order", "none"],
)
def test_heads_that_the_wallet_does_not_take_are_refused(
    place: Place, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """Nothing is sent to a witness, and nothing is written."""
    place.sign(change)
    with pytest.raises(VerificationError, match="does not take a head's signature"):
        cosign(place.run.folder.root, ["http://127.0.0.1:9/"])
    with pytest.raises(VerificationError, match="does not take a head's signature"):
        export(place.run.folder.root, tmp_path / "out")
    assert not place.run.folder.cosignatures.exists()
    assert not list((tmp_path / "out").glob("*"))


def test_a_contract_is_one_only_by_the_trust_file(place: Place) -> None:
    """Else an endpoint could call any signer a contract, and say yes in its name."""
    (wallet,) = place.trust.publishers
    unpinned = replace(place.trust, publishers=(replace(wallet, code_hash=None),))
    for trust in (unpinned, None):
        with pytest.raises(VerificationError, match="signature is malformed"):
            read_signed_log(place.run.folder.root, trust)
    other = replace(place.trust, publishers=(replace(wallet, code_hash="0x" + "11" * 32),))
    with pytest.raises(VerificationError, match="other code than the trust file pins"):
        read_signed_log(place.run.folder.root, other)


def test_a_contract_is_asked_on_the_pinned_chain_alone(place: Place) -> None:
    contracts = dict(place.trust.contracts)
    contracts["ledger"] = replace(contracts["ledger"], code_hash="0x" + "11" * 32)
    with pytest.raises(UnavailableError, match="not the pinned one: ledger code differs"):
        read_signed_log(place.run.folder.root, replace(place.trust, contracts=contracts))
    info = place.run.folder.info
    write_json(info, read_json(info) | {"chain_id": 1})
    with pytest.raises(Conflict, match="another chain or registry"):
        read_signed_log(place.run.folder.root, place.trust)
