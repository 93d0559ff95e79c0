"""Cosignatures of witnesses in the C2SP form: those that others made, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from provenance.errors import InputError, OutputError
from provenance.ids import Address, RunId
from provenance.log.tree import Head
from provenance.log.witness.cosignature import Cosignature, WitnessKey, message
from provenance.log.witness.kept import (
    MAX_COSIGNATURES_BYTES,
    CosignedHead,
    keep,
    parse_cosigned,
)
from provenance.log.witness.note import MAX_SIGNATURES, Note, SignatureLine, from_base64
from provenance.signing import Domain
from tests.support.core.witnesses import MadeWitness, text_of

# A checkpoint of a public log, with cosignatures of public witnesses (2026-05-23).
PUBLISHED = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
"""  # noqa: E501  (published so: every byte of it is signed)
WITNESSES = (
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
)
W1 = MadeWitness.make("witness.example/w1")
DOMAIN = Domain(31337, Address("0x" + "ab" * 20))
HEAD = Head(RunId(b"\x07" * 32), 5, b"\x05" * 32)
TEXT = text_of(HEAD, DOMAIN)


def read(note: Note, key: WitnessKey) -> list[Cosignature]:
    return [c for line in note.signatures if (c := Cosignature.read(line, key)) is not None]


@pytest.mark.parametrize("vkey", WITNESSES)
def test_a_published_cosignature_is_of_its_checkpoint_and_of_no_other(vkey: str) -> None:
    note, key = Note.parse(PUBLISHED.encode()), WitnessKey.parse(vkey)
    assert (str(note), str(key)) == (PUBLISHED, vkey)
    (found,) = read(note, key)
    assert found.time == 1_779_573_024
    assert found.is_of(note.text)
    assert str(found.line) in PUBLISHED
    for old, new in (
        ("1432088532", "1432088533"),
        ("arche2025h1", "arche2025h2"),
        ("U7WM", "V7WM"),
    ):
        assert not found.is_of(note.text.replace(old, new))
    later = Cosignature(found.witness, found.time + 1, found.signature)
    assert not later.is_of(note.text)


def test_a_line_that_the_test_made_is_read() -> None:
    line = SignatureLine.parse(W1.line(TEXT, 77))
    found = Cosignature.read(line, W1.key)
    assert found is not None
    assert (found.time, found.is_of(TEXT), found.line) == (77, True, line)
    assert message("a\n", 1) == b"cosignature/v1\ntime 1\na\n"
    assert str(W1.key) == W1.vkey
    assert Cosignature.read(line, MadeWitness.make("witness.example/w2").key) is None


def test_a_key_of_the_same_name_and_another_id_is_another_key() -> None:
    other = MadeWitness(W1.name, MadeWitness.make("another").private)
    assert Cosignature.read(SignatureLine.parse(other.line(TEXT, 77)), W1.key) is None


@pytest.mark.parametrize("time", [0, 2**63, 2**64 - 1])
def test_times_outside_of_the_form_are_refused(time: int) -> None:
    with pytest.raises(InputError, match="not a cosignature"):
        Cosignature.read(SignatureLine.parse(W1.line(TEXT, time)), W1.key)


@pytest.mark.parametrize("cut", [1, -1])
def test_a_cosignature_of_another_length_is_refused(cut: int) -> None:
    data = W1.key_id + bytes(7) + b"\x01" + bytes(64 + cut)
    line = f"— {W1.name} {base64.b64encode(data).decode()}"
    with pytest.raises(InputError, match="not a cosignature"):
        Cosignature.read(SignatureLine.parse(line), W1.key)


ORDER_8 = 55188659117513257062467267217118295137698188065244968500265048394206261417927
PRIME = 2**255 - 19
WEAK = [0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8, PRIME, PRIME + 1, 2**255 - 1]


@pytest.mark.parametrize("y", WEAK)
@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_a_key_that_anyone_signs_under_or_in_a_second_form_is_refused(y: int, sign: int) -> None:
    with pytest.raises(InputError, match="anyone can sign"):
        WitnessKey("w", (y | sign).to_bytes(32, "little"))


def test_under_a_key_of_small_order_anyone_can_sign() -> None:
    """So the keys above are refused: this signature of the point 1 is one of every text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    one = (1).to_bytes(32, "little")
    for text in (b"a", b"b"):
        Ed25519PublicKey.from_public_bytes(one).verify(one + bytes(32), text)


def changed_keys() -> dict[str, str]:
    name, id_, material = W1.vkey.split("+", 2)
    plain = base64.b64encode(b"\x01" + W1.public).decode()
    short = base64.b64encode(b"\x04" + W1.public[:31]).decode()
    return {
        "two parts": f"{name}+{id_}",
        "no name": f"+{id_}+{material}",
        "blank in the name": f"a b+{id_}+{material}",
        "another id": f"{name}+00000000+{material}",
        "upper case": f"{name}+{id_.upper()}+{material}",
        "no base64": f"{name}+{id_}+{material[:-1]}!",
        "padding left out": f"{name}+{id_}+{short.rstrip('=')}",
        "a plain Ed25519 key": f"{name}+{id_}+{plain}",
        "short": f"{name}+{id_}+{short}",
        "long name": f"{'n' * 256}+{id_}+{material}",
        "empty": "",
    }


@pytest.mark.parametrize("text", changed_keys().values(), ids=changed_keys())
def test_verifier_keys_have_one_form(text: str) -> None:
    with pytest.raises(InputError):
        WitnessKey.parse(text)


def test_a_key_made_of_parts_is_checked_too() -> None:
    with pytest.raises(InputError, match="no name of a witness"):
        WitnessKey("a b", W1.public)
    with pytest.raises(InputError, match="not an Ed25519 public key"):
        WitnessKey("w", W1.public[:31])


def test_the_id_alone_names_no_key() -> None:
    line = SignatureLine.parse(W1.line(TEXT, 77))
    assert Cosignature.read(SignatureLine("other", line.key_id, line.signature), W1.key) is None


@pytest.mark.parametrize("text", ["AB==", "AAB=", "AA", "AA=", "A A=", "AA==\n", "-_=="])
def test_base64_has_one_form(text: str) -> None:
    assert from_base64("AA==") == b"\0"
    with pytest.raises(InputError):
        from_base64(text)


LINE = W1.line(TEXT, 77)


@pytest.mark.parametrize(
    "note",
    [
        f"{TEXT}{LINE}\n",
        f"{TEXT}\n",
        f"{TEXT}\n{LINE}",
        f"{TEXT}\n{LINE}\n\n",
        f"\n\n{LINE}\n"[1:],
        f"{TEXT}\n{LINE}\r\n",
        f"{TEXT}\n{LINE} \n",
        f"{TEXT}\n- {LINE[2:]}\n",
        f"{TEXT}\n{LINE.rstrip('=')}\n",
        f"{TEXT}\n— w+1 AAAAAAAA\n",
        f"{TEXT}\n— w AAAA\n",
        f"{TEXT}\n{f'{LINE}' * 1}\n".replace("5\n", "5\x00\n"),
        f"{TEXT}\n" + f"{LINE}\n" * (MAX_SIGNATURES + 1),
        f"{TEXT}\n{LINE}\n" + "— w " + "A" * 40_000 + "\n",
    ],
    ids=lambda n: repr(n[-30:]),
)
def test_notes_in_another_form_are_refused(note: str) -> None:
    with pytest.raises(InputError):
        Note.parse(note.encode())


def test_a_note_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        Note.parse(b"\xff\n\n" + LINE.encode() + b"\n")


def test_kept_lines_come_back_and_damaged_ones_take_no_others_away(tmp_path: Path) -> None:
    path = tmp_path / "cosignatures.jsonl"
    first, second = W1.kept(HEAD, DOMAIN, 77), W1.kept(HEAD, DOMAIN, 78)
    keep(path, first)
    with path.open("ab") as stream:
        stream.write(b'{"torn": ')
    keep(path, second)
    assert parse_cosigned(path.read_bytes()) == [first, second]
    good = W1.cosigned(HEAD, DOMAIN, 77)
    bad = [
        b"\xff" * 400 + b"\n",
        b"[" * 400 + b"\n",
        b"1" * 400 + b"\n",
        good.replace(b'"size":5', b'"size":true'),
        good.replace(b'"size":5', b'"size":9223372036854775808'),
        good.replace(b'"size":5', b'"size":-1'),
        good.replace(b"0x07", b"0x7"),
        good.replace(b'"witness":"witness.example/w1', b'"witness":"witness.example/w2'),
        good.replace(W1.vkey.encode(), MadeWitness.make("other").vkey.encode()),
        good.replace(b'"root":', b'"rood":'),
        good.replace(b'"0x' + b"05" * 32 + b'"', b"5"),
    ]
    assert parse_cosigned(b"".join(bad)) == []
    assert parse_cosigned(b"".join([*bad, good, *bad])) == [first]
    assert CosignedHead.parse(first.to_line()) == first


def test_no_more_is_kept_than_a_verifier_reads(tmp_path: Path) -> None:
    path = tmp_path / "cosignatures.jsonl"
    path.write_bytes(b"\n" * MAX_COSIGNATURES_BYTES)
    with pytest.raises(OutputError, match="full"):
        keep(path, W1.kept(HEAD, DOMAIN, 77))
    assert path.stat().st_size == MAX_COSIGNATURES_BYTES
    with pytest.raises(OutputError, match="cannot keep"):
        keep(tmp_path / "none" / "file", W1.kept(HEAD, DOMAIN, 77))
