"""The prover's client: what the real program makes is what was asked for, and a bad child harms
nothing.
"""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.errors import (
    InputError,
    NotFound,
    RejectedError,
    UnavailableError,
    VerificationError,
)
from provenance.order import epoch_order
from provenance_zk import statements
from provenance_zk.field import R
from provenance_zk.groth16 import verifier
from provenance_zk.prover.client import Commitments, ZkProver, find_binary
from provenance_zk.prover.keys import (
    KeyFolder,
    ensure_keys,
    epoch_slots_for,
    find_key,
    load_key,
    load_words,
)
from provenance_zk.prover.request import blindings_bytes, challenge_fields, private_folder

COUNT = 300  # one chunk of 256 and a part of the next
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def leaves() -> np.ndarray:
    random = np.random.default_rng(7)
    values = random.integers(0, 256, (COUNT, 32), dtype=np.uint8)
    values[:, 0] %= 0x30  # below r
    return values


@pytest.fixture(scope="module")
def blindings() -> tuple[list[int], list[int]]:
    return (
        [secrets.randbelow(R - 1) + 1 for _ in range(2)],
        [secrets.randbelow(R - 1) + 1 for _ in range(2)],
    )


def test_the_order_is_that_of_the_core(prover: ZkProver) -> None:
    assert (prover.order(SEED, 3, COUNT) == epoch_order(SEED, 3, COUNT)).all()


def test_an_epoch_from_commitments_to_verdicts(
    prover: ZkProver,
    epoch_key: KeyFolder,
    tree_key: KeyFolder,
    leaves: np.ndarray,
    blindings: tuple[list[int], list[int]],
) -> None:
    order = epoch_order(SEED, 0, COUNT)
    d = prover.commit_values(epoch_key.dir, "D", leaves, blindings[0])
    u = prover.commit_values(epoch_key.dir, "U", leaves[order.astype(int)], blindings[1])
    p = prover.commit_order(epoch_key.dir, order)
    assert prover.recompute_order(epoch_key.words_file, epoch_key.bases_file, order) == Commitments(
        p.points, (), 256, p.vk_id
    )
    assert (d.slots, d.vk_id) == (256, epoch_key.vk_id)
    challenge = statements.challenges(statements.points_hash([*d.points, *u.points, *p.points]))

    epochs = prover.prove_epoch(epoch_key.dir, leaves, order, blindings, [0, 1], challenge)
    for c, proof in enumerate(
        epochs
    ):  # proofs carry the very points that were committed, and their knowledge
        made = [(x.points[c], x.poks[c]) for x in (d, u, p)]
        assert [statements.point_bytes(point) for point in proof.commitments] == [
            point for point, _ in made
        ]
        assert [statements.point_bytes(point) for point in proof.poks] == [pok for _, pok in made]
    links = prover.prove_link(epoch_key.dir, leaves, blindings[0], [0, 1], challenge)
    trees = prover.prove_tree(tree_key.dir, leaves, 5, [0, 1], challenge)
    assert all(v.ok for v in prover.verify(epoch_key.words_file, epochs, statements.EPOCH_MASK))
    assert all(v.ok for v in prover.verify(epoch_key.words_file, links, statements.LINK_MASK))
    assert all(v.ok for v in prover.verify(tree_key.words_file, trees, 0))
    assert verifier.verify_proof(epoch_key.words, epochs[1], statements.FULL_MASK)
    assert verifier.verify_proof(epoch_key.words, links[0], statements.LINK_MASK)
    assert verifier.verify_proof(tree_key.words, trees[1], 0)
    check_products(prover, leaves, order, challenge, epochs, trees)


def check_products(
    prover: ZkProver,
    leaves: np.ndarray,
    order: np.ndarray,
    challenge: tuple[int, int],
    epochs: Any,
    trees: Any,
) -> None:
    """The proofs' public products, those of the prover's `products` and those of plain integers are
    the same.
    """
    values, fed = statements.leaves_to_ints(leaves), [int(i) for i in order]
    pi, root = statements.inverse(fed), prover.leaf_root(leaves, 5)
    products = prover.products(
        challenge,
        COUNT,
        leaves=leaves,
        used=leaves[order.astype(int)],
        order=order,
        slots=256,
        tree_slots=256,
    )
    for c in (0, 1):
        a = statements.product_at(
            *challenge, statements.d_vector(values, c, 256), statements.p_vector(pi, c, 256)
        )
        b = statements.product_from(*challenge, statements.u_vector(values, fed, c, 256), c * 256)
        t, z = statements.tree_products(*challenge, values, c, 256)
        used = statements.used_leaves(COUNT, c, 256)
        assert epochs[c].public == (*challenge, 256 * c, a, b)
        assert trees[c].public == (root, c, used, c, *challenge, t, z)
        assert [products[name][c] for name in "abtz"] == [a, b, t, z]


def test_a_proof_for_one_key_is_false_for_another(
    prover: ZkProver, epoch_key: KeyFolder, tree_key: KeyFolder, leaves: np.ndarray
) -> None:
    proof = prover.prove_tree(tree_key.dir, leaves, 5, [0], (5, 6))[0]
    assert not prover.verify(epoch_key.words_file, [proof], 0)[0].ok
    with pytest.raises(InputError, match="another key"):
        verifier.verify_proof(epoch_key.words, proof, 0)


def test_an_epoch_that_fed_other_leaves_cannot_be_proved(
    prover: ZkProver,
    epoch_key: KeyFolder,
    leaves: np.ndarray,
    blindings: tuple[list[int], list[int]],
    tmp_path: Path,
) -> None:
    order = epoch_order(SEED, 0, COUNT)
    used = leaves[order.astype(int)].copy()
    used[[3, 4]] = used[[4, 3]]
    for name, data in (
        ("l", leaves.tobytes()),
        ("u", used.tobytes()),
        ("o", order.astype(">u8").tobytes()),
    ):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b").write_bytes(blindings_bytes(d=blindings[0], u=blindings[1]))
    with pytest.raises(RejectedError, match="leaf fed at a position"):
        prover.request(
            "prove-epoch",
            {
                "key": str(epoch_key.dir),
                "leaves": str(tmp_path / "l"),
                "used": str(tmp_path / "u"),
                "order": str(tmp_path / "o"),
                "count": COUNT,
                "blindings": str(tmp_path / "b"),
                "out": str(tmp_path / "proof"),
                **challenge_fields((5, 6)),
            },
        )


@pytest.mark.parametrize("order", [[*range(COUNT - 1), 0], list(range(1, COUNT + 1))])
def test_an_order_that_is_no_permutation_is_refused(
    prover: ZkProver, epoch_key: KeyFolder, order: list[int]
) -> None:
    with pytest.raises(InputError, match="out of range or repeated"):
        prover.commit_order(epoch_key.dir, order)


def test_requests_that_make_no_sense_are_refused(
    prover: ZkProver, epoch_key: KeyFolder, leaves: np.ndarray
) -> None:
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "P", leaves, [1, 2])
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1])  # two chunks
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1, 0])  # hides nothing
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1, R])
    with pytest.raises(InputError):
        prover.prove_tree(epoch_key.dir, leaves, 5, [0], (1, 2))  # an epoch key
    with pytest.raises(InputError):
        prover.prove_tree(epoch_key.dir, leaves, 5, [], (1, 2))
    with pytest.raises(InputError):
        prover.verify(epoch_key.words_file, [], 0)
    with pytest.raises(InputError):
        prover.leaf_root(b"\xff" * 32, 5)


# keys


def test_keys_are_made_once(prover: ZkProver, key_cache: Path, epoch_key: KeyFolder) -> None:
    again = ensure_keys(prover, key_cache, "epoch", 256)
    assert (again.vk_id, again.klass, again.kind, again.slots) == (
        epoch_key.vk_id,
        "dev",
        "epoch",
        256,
    )
    assert find_key(key_cache, epoch_key.vk_id).dir == epoch_key.dir
    assert verifier.parse_key(epoch_key.words).vk_id == epoch_key.vk_id
    assert prover.inspect(epoch_key.words_file)["vkId"] == f"0x{epoch_key.vk_id.hex()}"
    with pytest.raises(NotFound):
        find_key(key_cache, bytes(32))
    with pytest.raises(NotFound):
        find_key(key_cache / "nowhere", bytes(32))


def test_altered_words_are_refused(epoch_key: KeyFolder, tmp_path: Path, prover: ZkProver) -> None:
    for name in ("key.json", "vk.words"):
        (tmp_path / name).write_bytes((epoch_key.dir / name).read_bytes())
    assert load_key(tmp_path).vk_id == epoch_key.vk_id
    words = bytearray(epoch_key.words)
    words[-1] ^= 1
    (tmp_path / "vk.words").write_bytes(words)
    with pytest.raises(VerificationError):
        load_key(tmp_path)
    with pytest.raises(InputError):
        prover.inspect(tmp_path / "vk.words")


def test_files_that_are_no_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_key(tmp_path)
    with pytest.raises(NotFound):
        load_words(tmp_path / "vk.words")
    for text in (b"{", b"[]", b'{"format": "provenance-key/2"}'):
        (tmp_path / "key.json").write_bytes(text)
        with pytest.raises(InputError):
            load_key(tmp_path)
    for data in (b"", bytes(33), bytes(1 << 17)):
        (tmp_path / "vk.words").write_bytes(data)
        with pytest.raises(InputError):
            load_words(tmp_path / "vk.words")


@pytest.mark.parametrize(
    ("count", "slots"), [(1, 4096), (4096, 4096), (4097, 20480), (86017, 344064), (10**6, 344064)]
)
def test_the_smallest_key_that_fits(count: int, slots: int) -> None:
    assert epoch_slots_for(count) == slots


# the child


def fake(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "fake-prover"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\nrequest = "
        f"json.load(sys.stdin)\n{textwrap.dedent(body)}"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        ("print('not json')", UnavailableError, "without a result"),
        ("sys.exit(3)", UnavailableError, "status 3"),
        ("print('[]')", UnavailableError, "without a result"),
        ("sys.stderr.write('panic: oh no'); sys.exit(2)", UnavailableError, "panic: oh no"),
        ("os.kill(os.getpid(), 9)", UnavailableError, "killed"),
        (
            "print(json.dumps({'error': {'code': 'bad_file', 'what': 'w', 'expected': '1', "
            "'actual': '2'}})); sys.exit(2)",
            InputError,
            "expected 1, actual 2",
        ),
        (
            "print(json.dumps({'error': {'code': 'bad_key', 'what': 'w'}})); sys.exit(2)",
            InputError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'unproven', 'what': 'w'}})); sys.exit(2)",
            RejectedError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'internal', 'what': 'w'}})); sys.exit(3)",
            UnavailableError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'new', 'what': 'w'}})); sys.exit(2)",
            UnavailableError,
            "w",
        ),
    ],
)
def test_a_child_that_fails_is_reported(
    tmp_path: Path, body: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ZkProver(fake(tmp_path, body)).inspect(tmp_path)


def test_an_empty_verdict_is_no_success(tmp_path: Path) -> None:
    proof = statements.ProofFile("tree", bytes(32), (0, 0), (0, 0, 0, 0), (0, 0), (), (), (0,) * 8)
    results = (
        {"ok": True, "results": []},
        {"ok": True, "results": [{"ok": False}]},
        {"ok": False, "results": [{"ok": True}]},
    )
    for result in results:
        with pytest.raises(UnavailableError):
            ZkProver(fake(tmp_path, f"print(json.dumps({result!r}))")).verify(tmp_path, [proof], 0)


def test_progress_lines_arrive(tmp_path: Path) -> None:
    lines: list[str] = []
    ZkProver(
        fake(tmp_path, "sys.stderr.write('zkprover: one\\ntwo\\n'); print('{}')"),
        progress=lines.append,
    ).inspect(tmp_path)
    assert lines == ["one", "two"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_slow_child_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(UnavailableError, match="too long"):
        ZkProver(fake(tmp_path, body), timeout_s=1.5).inspect(tmp_path)
    assert not is_running(int(pid_file.read_text()))


def test_a_child_dies_with_an_exception_of_its_caller(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    pids: list[int] = []
    body = "sys.stderr.write(f'{os.getpid()}\\n'); sys.stderr.flush(); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        ZkProver(fake(tmp_path, body), progress=interrupt).inspect(tmp_path)
    assert not is_running(pids[0])


def test_ctrl_c_kills_the_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    binary = fake(
        tmp_path,
        f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )
    # A shell starts jobs in the background with SIGINT ignored, and children inherit that.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from provenance_zk.prover.client import ZkProver; from pathlib import Path; "
        f"ZkProver(Path({str(binary)!r})).inspect(Path('/'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    child: int | None = None
    try:
        deadline = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(pid_file.read_text())
        parent.send_signal(signal.SIGINT)
        parent.wait(30)
        assert not is_running(child)
    finally:
        parent.kill()
        parent.wait()
        if child is not None and is_running(child):
            os.kill(child, signal.SIGKILL)


def test_secrets_reach_the_child_in_private_files_that_go_away(tmp_path: Path) -> None:
    report = tmp_path / "report"
    body = f"""
        mode = lambda path: oct(os.stat(path).st_mode)[-3:]
        files = {{name: (mode(path), mode(os.path.dirname(path)), path)
                 for name, path in request.items() if name in ("digests", "salts")}}
        json.dump([files, sys.argv, request], open({str(report)!r}, "w"))
        open(request["leaves_out"], "wb").write(bytes(32))
        print(json.dumps({{"root": "0x" + "0" * 64, "depth": 5, "count": 1}}))
    """
    salt = b"\xabSALT" * 6 + b"\xab"
    ZkProver(fake(tmp_path, body)).dataset(bytes(32), salt, 5)
    import json

    files, argv, request = json.loads(report.read_text())
    for mode, folder_mode, path in files.values():
        assert (mode, folder_mode) == ("600", "700")
        assert not Path(path).exists()
    assert argv[1:] == ["dataset"]
    assert salt.hex() not in json.dumps(request)


def test_a_missing_binary_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="make setup"):
        find_binary(tmp_path / "zkprover")
    (tmp_path / "zkprover").write_text("not executable")
    (tmp_path / "zkprover").chmod(0o644)
    with pytest.raises(UnavailableError):
        find_binary(tmp_path / "zkprover")
    with pytest.raises(UnavailableError, match="cannot start"):
        ZkProver(tmp_path / "zkprover").inspect(tmp_path)


def test_the_temporary_folder_is_private() -> None:
    with private_folder() as folder:
        path = Path(folder.write("secret", b"x"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()
