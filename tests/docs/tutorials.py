"""Tutorial pages, run from top to bottom in one shell; each line that a page shows must appear."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import Block, blocks
from tests.docs.main_job import Job
from tests.support.processes.warm import warm_commands

END = "@@@ block ends with"


@dataclass(frozen=True)
class Step:
    """A shell block, with the exit code and the output that the page shows for it."""

    line: int
    script: str
    exit_code: int
    shown: list[str]


def steps(page: Path) -> list[Step]:
    found: list[Step] = []
    pending: Block | None = None
    for block in [*blocks(page), Block(None, "sh", "", 0)]:
        if block.language == "sh":
            if pending is not None:
                found.append(Step(pending.line, pending.text, 0, []))
            pending = block
        elif block.language == "text" and pending is not None:
            code = re.search(r"exit=(\d+)", block.info)
            found.append(
                Step(
                    pending.line, pending.text, int(code[1]) if code else 0, block.text.splitlines()
                )
            )
            pending = None
    return found


def normal(line: str, run: str = "$RUN") -> str:
    """A line in which marks stand for what differs between runs.

    That is digests, numbers of blocks, heads and records, and the folder of the run.
    """
    line = line.replace(run, "$RUN")
    line = re.sub(r"(sha256:|0x)([0-9a-f]{8,}(\.\.[0-9a-f]*)?|…)", r"\1#", line)
    line = re.sub(r"\b(blk\.\d|epoch \d)", r"\1", line)
    line = re.sub(r"\b(head|record) \d+", r"\1 #", line)
    return re.sub(r"\bin block (\d+|…)", "in block #", line)


def pattern(shown: str) -> re.Pattern[str]:
    """What a shown line stands for: `…` is any text."""
    return re.compile(
        ".*".join(
            re.escape(part.strip(" ")) if i else re.escape(part.rstrip(" "))
            for i, part in enumerate(normal(shown).split("…"))
        )
        + r".*"
    )


def missing(shown: list[str], output: list[str]) -> list[str]:
    """The shown lines that the output lacks. Lines must come in the order shown."""
    at, lost = 0, []
    for line in shown:
        wanted = pattern(line)
        hit = next((i for i in range(at, len(output)) if wanted.match(output[i])), None)
        if hit is None:
            lost.append(line)
        else:
            at = hit + 1
    return lost


def require_page(page: Path, job: Job) -> None:
    """Run a page. Fails with each step whose exit code or output is not the one shown."""
    todo = steps(page)
    script = "".join(f'{s.script}\necho "{END} $?"\n' for s in todo)
    with tempfile.TemporaryDirectory() as folder, warm_commands(job.env, Path(folder)) as env:
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", script],
            cwd=job.work,
            env=env,
            capture_output=True,
            text=True,
            timeout=1000,
            check=False,
        )
    parts = re.split(rf"^{END} (\d+)\n", done.stdout, flags=re.MULTILINE)
    wrong = []
    for step, output, code in zip(todo, parts[0::2], parts[1::2], strict=False):
        output_lines = [normal(line, str(job.run)) for line in output.splitlines()]
        lost = missing(step.shown, output_lines)
        if lost or int(code) != step.exit_code:
            wrong.append(
                f"{page.name}:{step.line}: exit {code}, shown {step.exit_code}; not printed: "
                f"{lost}\n{output}"
            )
    assert not wrong, "\n".join([*wrong, done.stderr[-4000:]])
    assert len(parts) == 2 * len(todo) + 1
