#!/usr/bin/env bash
# Everything that only a GPU can tell, in about ten minutes: experiments/speed/gpu.sh [FOLDER [override ...]]
# Writes gpu.csv (Stable Diffusion 1.5's shape: steps, memory, sampling) and gpu_horse.csv (the horse in each arithmetic,
# and tuned longer; all at once on one card, so that their seconds say little). Overrides go to the horse's runs.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-experiments/speed}
shift || true
python=${PYTHON:-python3}
runs=runs/speed
mkdir -p "$out" $runs
export OMP_NUM_THREADS=2 TOKENIZERS_PARALLELISM=false
$python -m experiments.speed.gpu --out "$out/gpu.csv" 2>&1 | tee "$out/gpu.log"
horse() {
  $python -m maskvid.train +experiment=horse trainer=gpu run_dir="$runs/$1" ckpt_path=auto logger=csv "${@:2}" > "$runs/$1.log" 2>&1 ||
    tail -5 "$runs/$1.log"
}
horse float32-1 trainer.precision=32-true seed=1 "$@" &
for seed in 1 2 3; do
  horse bf16-$seed trainer.precision=bf16-mixed seed=$seed "$@" &
done
horse half_weights-1 trainer.precision=bf16-mixed backbone.dtype=bfloat16 seed=1 "$@" &
horse float16-1 trainer.precision=16-mixed backbone.dtype=float16 seed=1 "$@" &
horse long-1 trainer.precision=bf16-mixed trainer.max_steps=2560 seed=1 "$@" &
wait
$python -m experiments.speed.gather $runs "$out/gpu_horse.csv"
