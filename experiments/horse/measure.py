"""The horse, measured: `python experiments/horse/measure.py` (add `--seeds 1 2 3`).

Tunes the method and, at the same budget, the method with every mask path switched off; samples the test clips, which
no setting was chosen on, from their real first frames and from first frames painted by the miniature; and sets beside
them the floor (the first mask copied), the ceiling (the real clip through the VAE) and the untuned first-frame
attention. Finished runs are kept and not repeated. Writes results.csv (a row for each variant, seed and set) and
table.md (mean and spread over seeds) beside this file.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import Trainer

from maskvid.callbacks.metric_encoders import MetricEncoders
from maskvid.callbacks.metrics_table import MetricsCallback
from maskvid.callbacks.video_logger import VideoLogger
from maskvid.config import CONF, instantiate
from maskvid.files import atomic_write
from maskvid.metrics.mask import boundary_f, mask_iou
from maskvid.metrics.suite import METRICS, VideoMetrics
from maskvid.request import load_run
from maskvid.train import train

HERE = Path(__file__).parent
SETS = ("horse", "unseen", "motion")
TEST = "{" + ", ".join(f"{name}: 'assets://horse/test/{name}'" for name in SETS) + "}"


def configure(run_dir: Path, *overrides: str):
    with initialize_config_dir(CONF, version_base="1.3"):
        common = ["+experiment=horse", f"run_dir={run_dir}", "logger=csv", "trainer.limit_val_batches=0"]
        return compose("train", overrides=[*common, *overrides])


def tune(run_dir: Path, *overrides: str) -> None:
    """Train once."""
    if not (run_dir / "adapter" / "adapter.json").exists():
        train(configure(run_dir, "data.validation=null", *overrides))


def evaluate(run_dir: Path, name: str, **sampling: object) -> dict[str, float]:
    """Sample and score the test sets with a run's adapter."""
    folder = run_dir / name
    if not (folder / "metrics.json").exists():
        module, config = load_run(run_dir, sampling=sampling)
        module.set_names = list(SETS)
        data = instantiate(configure(run_dir, f"data.validation={TEST}", f"seed={config.seed}").data, "data")
        data.attach(module.backbone)
        callbacks = [MetricsCallback(folder=folder), VideoLogger(folder=folder, logged_per_set=0)]
        trainer = Trainer(
            default_root_dir=folder, callbacks=callbacks, logger=False, enable_model_summary=False,
            use_distributed_sampler=False, precision=config.trainer.precision,
        )  # fmt: skip
        trainer.validate(module, datamodule=data, verbose=False)
    return json.loads((folder / "metrics.json").read_text())


def references(run_dir: Path) -> dict[str, dict[str, float]]:
    """Floor, ceiling and the real clips, by the same metrics."""
    module, config = load_run(run_dir)
    data = instantiate(configure(run_dir, f"data.validation={TEST}").data, "data")
    data.attach(module.backbone).setup()
    encoders = MetricEncoders()
    results: dict[str, dict[str, float]] = {"floor": {}, "ceiling": {}, "real": {}}
    for name, loader in zip(SETS, data.val_dataloader(), strict=True):
        ceiling, real = VideoMetrics(encoders), VideoMetrics(encoders)
        floor: list[tuple[float, float]] = []
        for batch in loader:
            for i, clip_id in enumerate(batch.ids):
                masks, prompt = batch.masks[i], batch.prompts[i]
                real.update(batch.frames[i], masks, prompt, clip_id=clip_id)
                decoded = module.backbone.decode_latents(batch.latents[i])
                ceiling.update(decoded, masks, prompt, clip_id=clip_id)
                copied = masks[:1].expand_as(masks)
                floor.append((float(mask_iou(copied, masks)), float(boundary_f(copied, masks))))
        for key, scored in (("ceiling", ceiling), ("real", real)):
            results[key] |= {f"{name}/{metric}": value for metric, value in scored.compute().items()}
        results["floor"][f"{name}/mask_iou"] = statistics.mean(x for x, _ in floor)
        results["floor"][f"{name}/boundary_f"] = statistics.mean(x for _, x in floor)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs/horse"))
    parser.add_argument("overrides", nargs="*", help="further settings, as of maskvid.train")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []

    def record(variant: str, seed: int | str, results: dict[str, float]) -> None:
        for name in SETS:
            rows.append({"variant": variant, "seed": seed, "set": name}
                        | {metric: results.get(f"{name}/{metric}", "") for metric in METRICS})  # fmt: skip

    for seed in options.seeds:
        torch.manual_seed(seed)
        ours, blind, untuned = (options.runs / f"{name}-{seed}" for name in ("maskvid", "no-mask", "untuned"))
        tune(ours, f"seed={seed}", *options.overrides)
        record("maskvid", seed, evaluate(ours, "real-first-frame"))
        record("maskvid, painted first frame", seed, evaluate(ours, "painted", first_frame="text_to_image"))
        tune(blind, f"seed={seed}", "method=first_frame", *options.overrides)
        record("no mask path", seed, evaluate(blind, "real-first-frame"))
        tune(untuned, f"seed={seed}", "method=first_frame", "method.unet.reference=first", "method.trained=false")
        record("untuned", seed, evaluate(untuned, "real-first-frame"))
    for variant, results in references(options.runs / f"maskvid-{options.seeds[0]}").items():
        record(variant, "-", results)
    with atomic_write(HERE / "results.csv") as path, path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=["variant", "seed", "set", *METRICS])
        writer.writeheader()
        writer.writerows(rows)
    with atomic_write(HERE / "table.md") as path:
        path.write_text(table(rows))
    print(table(rows))


def table(rows: list[dict[str, object]]) -> str:
    """Markdown: mean and, over several seeds, the spread (largest minus smallest, halved)."""
    lines = ["| set | variant | seeds | " + " | ".join(m.replace("_", " ") for m in METRICS) + " |"]
    lines.append("|---" * (3 + len(METRICS)) + "|")
    for name in SETS:
        for variant in dict.fromkeys(row["variant"] for row in rows):
            chosen = [row for row in rows if row["variant"] == variant and row["set"] == name]
            cells = []
            for metric in METRICS:
                values = [float(str(row[metric])) for row in chosen if row[metric] != ""]
                spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.3f}{spread}" if values else "")
            lines.append(f"| {name} | {variant} | {len(chosen)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
