"""`make demo`: runs the README's four commands, and says how long each took.

What a run makes goes to `runs/<time>`. Key, proving keys and embedded chain are kept in `.state`
for the next time. At the end the demo verifies with everything that a verifier can have, and trains
a segment again. Then it flips one bit in a copy of the quantized file, and shows that verification
names the place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- main job -->\n```sh\n(.*?)```", re.DOTALL)


def readme_commands() -> list[str]:
    """The commands of the README's main job, with continued lines joined."""
    match = BLOCK.search((ROOT / "README.md").read_text())
    if match is None:
        sys.exit("error: README.md has no block of commands marked `main job`")
    joined = match.group(1).replace("\\\n", " ")
    return [
        line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")
    ]


def environment(run: Path) -> dict[str, str]:
    """This environment, with the commands on its path and without PROVENANCE_ variables."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PROVENANCE_")}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUN": str(run.relative_to(ROOT)),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def run_command(command: str, env: dict[str, str]) -> tuple[float, str]:
    """Run one command and show its output; returns (seconds, stdout)."""
    print(f"\n$ {command}", flush=True)
    begin = time.monotonic()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode:
        sys.exit(f"error: command ended with exit code {done.returncode}: {command}")
    return time.monotonic() - begin, done.stdout


def flip_one_bit(source: Path, copy: Path) -> None:
    """Copy a GGUF file, and flip the lowest bit of one code in a tensor of a middle layer."""
    from provenance_trainer.formats.gguf_file import read_header

    shutil.copyfile(source, copy)
    tensors = [t for t in read_header(source).tensors.values() if t.name.endswith("attn_q.weight")]
    tensor = tensors[len(tensors) // 2]
    offset = tensor.start + 34 * 118 + 2 + 5  # block 118: two bytes of scale, then 32 codes
    with copy.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


def judge(path: Path, run: Path, env: dict[str, str], *more: str) -> tuple[int, dict]:
    """Exit code and verdict about a file, from a verifier who has the base model."""
    evidence = ["--evidence", str(run / "run")]
    command = ["provenance", "verify", str(path), *evidence, "--base", "smollm2", *more, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


def claim_text(verdict: dict, id_: str) -> str:
    """What a verdict says about a claim."""
    return next(c["text"] for c in verdict["claims"] if c["id"] == id_)


def summary(run: Path, verdict: dict, tampered: dict) -> str:
    """The demo's last lines, from the run's own records."""
    from provenance.log.tree import read_records

    records = read_records(run / "run" / "provenance" / "journal")
    close = next(r for r in records if r.type == "run.close").fields["summary"]
    seed = next(r for r in records if r.type == "seed").fields
    dataset = records[0].fields["dataset"]
    quantize = next(r for r in records if r.type == "quantize").fields
    manifest = json.loads((run / "run-dataset" / "dataset.json").read_text())
    heads = (run / "run" / "provenance" / "heads.jsonl").read_text().count("\n")
    failure = next(c for c in tampered["claims"] if c["id"] == "file.recomputed")
    holding = sum(c["status"] == "holds" for c in verdict["claims"])
    samples = [
        f"{c['id'].split('.')[0]:<9} {c['text'].partition(': ')[2]}"
        for c in verdict["claims"]
        if c["id"] in ("merge.proven", "quantize.proven")
    ]
    missing, replayed = verdict["not_checked"], claim_text(verdict, "training.replayed")
    return "\n".join(
        [
            f"dataset   {dataset['count']} records, {manifest['duplicates_removed']} "
            f"duplicates removed, root {dataset['root'][:10]}..  "
            f"seed drawn from block {seed['draw_block']}, final",
            f"training  {close['steps']} steps, loss {float(close['loss_first']):.2f} -> "
            f"{float(close['loss_last']):.2f}, perplexity "
            f"{float(close['perplexity_before']):.1f} -> "
            f"{float(close['perplexity_after']):.1f} ({close['evaluated_on']}), "
            f"{len(records)} records journaled, {heads} heads anchored",
            f"proofs    tree, link, sorted, epoch, merge, {quantize['quantization']} made and "
            f"accepted     file {quantize['file'][:17]}..",
            *samples,
            f"again     {replayed}",
            f"{verdict['word'].upper().replace('DEVELOPMENT', 'development')}: "
            f"{'; '.join(verdict['development'])}",
            f"          {holding} claims hold, not checked: {', '.join(missing) or 'none'}",
            f"tampered copy: {tampered['word'].upper()}  {failure['where']}: expected "
            f"{failure['expected']}, actual {failure['actual']}",
        ]
    )


def judge_released(run: Path, released: Path, env: dict[str, str]) -> tuple[float, dict]:
    """Seconds and verdict, which must be Verified, from somebody who also has the data, and trains
    one segment again.
    """
    more = ("--with-data", str(run / "run-dataset"), "--replay", "1")
    shown = f"provenance verify {released.relative_to(ROOT)} --evidence {env['RUN']}/run"
    shown += f" --base smollm2 --with-data {env['RUN']}/run-dataset --replay 1"
    print(f"\n$ {shown}   # everything again, and a segment of training", flush=True)
    begin = time.monotonic()
    code, verdict = judge(released, run, env, *more)
    if code != 0:
        sys.exit(f"error: the released file is {verdict['word']}: {verdict['reason']}")
    return time.monotonic() - begin, verdict


def judge_tampered(run: Path, released: Path, env: dict[str, str]) -> dict:
    """The verdict about a copy of the released file with one bit flipped, which must fail."""
    copy = run / "tampered.gguf"
    flip_one_bit(released, copy)
    shown = f"provenance verify {copy.relative_to(ROOT)} --evidence {env['RUN']}/run"
    print(f"\n$ {shown}   # one bit flipped", flush=True)
    code, tampered = judge(copy, run, env)
    if code != 1:
        sys.exit(
            f"error: a tampered copy must fail with exit code 1, got {code}: {tampered['word']}"
        )
    return tampered


def main() -> None:
    """Run everything. The last line printed says how to look at the result."""
    run = ROOT / "runs" / time.strftime("%Y%m%d-%H%M%S")
    run.mkdir(parents=True)
    env = environment(run)
    begin, times = time.monotonic(), []
    for command in readme_commands():
        seconds, _ = run_command(command, env)
        times.append((command.split("--")[0].strip()[:60], seconds))
    released = next((run / "run" / "release").glob("*.gguf"))
    seconds, verdict = judge_released(run, released, env)
    times.append(("provenance verify, with base, data and a segment again", seconds))
    tampered = judge_tampered(run, released, env)
    print("\ncommand                                                          seconds")
    for name, seconds in times:
        print(f"{name:<64} {seconds:7.1f}")
    print(f"{'all':<64} {time.monotonic() - begin:7.1f}\n")
    print(summary(run, verdict, tampered))
    digest = verdict["subject"]["digest"]
    print(f"\nsee it: .venv/bin/provenance serve --evidence {env['RUN']} --open {digest}")


if __name__ == "__main__":
    main()
