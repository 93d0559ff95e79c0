"""Training that gives the same bits again, and the stack that it gives them on.

Sources: PyTorch documentation, "Reproducibility"; NVIDIA cuBLAS documentation, "Results
reproducibility".
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from provenance_trainer.model.peft_setup import has_gpu

# Variables that change the order of additions, or which kernel computes.
_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "KMP_DETERMINISTIC_REDUCTION",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
_CAPABILITIES = ("DEFAULT", "AVX2", "AVX512")
_REPEATED = ("MKL_CBWR", "ONEDNN_MAX_CPU_ISA")
_PLAIN = re.compile(r"[A-Za-z0-9_,]{1,40}")
_MOST_THREADS = 256
_MOST = 200  # letters of a value
_CPUINFO = Path("/proc/cpuinfo")


def make_deterministic() -> None:
    """Make torch compute the same bits each time, or raise an error where it cannot.

    This is about the whole process. On a GPU it must come before the first computation there.
    """
    # cuBLAS reads it when it is first used. Without a workspace of its own it is not repeatable.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(torch.get_num_threads())  # fixed from here on


def stack(*, deterministic: bool) -> dict[str, Any]:
    """What the bits of a training depend on beside its inputs, as `run.open` records it.

    All of it is the publisher's word. It says where a replay can be expected to be exact.
    """
    found: dict[str, Any] = {
        "deterministic": deterministic,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu": _cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "matmul": torch.get_float32_matmul_precision(),
        "variables": {name: os.environ[name][:_MOST] for name in _VARIABLES if name in os.environ},
    }
    if has_gpu():
        found |= {
            "gpu": torch.cuda.get_device_name(),
            "gpus": torch.cuda.device_count(),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        }
    return found


def _cpu_name() -> str:
    """The processor's model, as the kernel names it; else what Python knows."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()[:_MOST]
    return platform.processor()[:_MOST] or platform.machine()


def threads_of(environment: Mapping[str, Any]) -> int | None:
    """The threads that a run's `environment` (attacker-controlled) says it had.

    None if it says none, or nonsense.
    """
    threads = _said(environment).get("threads")
    return threads if type(threads) is int and 0 < threads <= _MOST_THREADS else None


def trained_on_gpu(environment: Mapping[str, Any]) -> bool | None:
    """Whether a run's `environment` (attacker-controlled) says so; None if it says no stack."""
    said = _said(environment)
    return "gpu" in said if said else None


def devices_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Variables for a process without a GPU, if the run had none (attacker-controlled).

    A GPU would draw other random numbers, and an honest run would come out otherwise.
    """
    return {"CUDA_VISIBLE_DEVICES": ""} if trained_on_gpu(environment) is False else {}


def variables_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Variables for a process that computes as a run's `environment` (attacker-controlled) says.

    Torch takes them when it is imported. It does not ask whether the processor has the
    instructions, so no more are named than this process has.
    """
    said = _said(environment)
    capability, variables = said.get("capability"), said.get("variables")
    found = {}
    own = torch.backends.cpu.get_cpu_capability()
    if capability in _CAPABILITIES and own in _CAPABILITIES:
        lower = min(capability, own, key=_CAPABILITIES.index)
        found["ATEN_CPU_CAPABILITY"] = lower.lower()
    for name in _REPEATED:
        value = variables.get(name) if isinstance(variables, dict) else None
        if isinstance(value, str) and _PLAIN.fullmatch(value):
            found[name] = value
    return found


def _said(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    said = environment.get("stack")
    return said if isinstance(said, dict) else {}
