"""One type for reports of progress: a function that counts also serves where only text is told."""

from __future__ import annotations

from provenance.progress import Progress, Say, silent


def test_a_progress_function_serves_where_only_text_is_told() -> None:
    told: list[tuple[str, int, int | None]] = []

    def progress(task: str, done: int = 0, total: int | None = None, /) -> None:
        told.append((task, done, total))

    counted: Progress = progress
    say: Say = counted
    counted("merging", 2, 3)
    say("waiting for block 7")
    assert told == [("merging", 2, 3), ("waiting for block 7", 0, None)]


def test_silence_takes_both_calls() -> None:
    quiet: Progress = silent
    quiet("merging", 2, 3)
    quiet("waiting for block 7")
