"""The horse, measured: `python -m experiments.horse.measure` (add `--seeds 1 2 3`).

Tunes the method and, at the same budget, the method with every mask path switched off; samples the test clips, which
no setting was chosen on, from their real first frames and from first frames painted by the miniature; and sets beside
them the floor (the first mask copied), the ceiling (the real clip through the VAE) and the untuned first-frame
attention. Finished runs are kept and not repeated. Writes results.csv (a row for each variant, seed and set) and
table.md (mean and half the spread over seeds) beside this file.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from experiments.study import HEADLINES, Row, configure, evaluate, options_of, tune, write_rows, write_table
from maskvid.data import MaskVidDataModule
from maskvid.judges.panel import MetricEncoders
from maskvid.metrics.mask import boundary_f, mask_iou
from maskvid.metrics.suite import VideoMetrics
from maskvid.model import Backbone

HERE = Path(__file__).parent
SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
UNTUNED = ("method=first_frame", "method.unet.layers=all", "method.unet.reference=first", "method.trained=false")


def references() -> dict[str, dict[str, float]]:
    """Floor, ceiling and the real clips, by the same metrics."""
    config = configure("train", "+experiment=horse", "run_dir=.")
    backbone, encoders = Backbone(config.backbone.path), MetricEncoders()
    data = MaskVidDataModule(replace(OmegaConf.to_object(config.data), validation=SETS)).attach(backbone)
    data.setup()
    results: dict[str, dict[str, float]] = {"floor": {}, "ceiling": {}, "real": {}}
    for name, loader in zip(SETS, data.val_dataloader(), strict=True):
        ceiling, real = VideoMetrics(encoders), VideoMetrics(encoders)
        floor: list[tuple[float, float]] = []
        for batch in loader:
            for i, clip_id in enumerate(batch.ids):
                masks, prompt = batch.masks[i], batch.prompts[i]
                real.update(batch.frames[i], masks, prompt, clip_id=clip_id)
                ceiling.update(backbone.decode_latents(batch.latents[i]), masks, prompt, clip_id=clip_id)
                copied = masks[:1].expand_as(masks)
                floor.append((float(mask_iou(copied, masks)), float(boundary_f(copied, masks))))
        for key, scored in (("ceiling", ceiling), ("real", real)):
            results[key] |= {f"{name}/{metric}": float(value) for metric, value in scored.compute().items()}
        results["floor"][f"{name}/mask_iou"] = statistics.mean(x for x, _ in floor)
        results["floor"][f"{name}/boundary_f"] = statistics.mean(x for _, x in floor)
    return results


def main() -> None:
    options = options_of(__doc__)
    rows: list[Row] = []

    def record(variant: str, seed: int | str, results: dict[str, float]) -> None:
        for name in SETS:
            found = {metric: results[f"{name}/{metric}"] for metric in HEADLINES if f"{name}/{metric}" in results}
            rows.append({"set": name, "variant": variant, "seed": seed, **found})

    for seed in options.seeds:
        ours, blind, untuned = (options.runs / f"{name}-{seed}" for name in ("maskvid", "no-mask", "untuned"))
        tune(ours, f"seed={seed}", *options.overrides)
        record("maskvid", seed, evaluate(ours, "real-first-frame", SETS))
        for name, painter in (("painted", "controlnet"), ("text_to_image", "text_to_image")):
            record(f"maskvid, first frame by {painter}", seed, evaluate(ours, name, SETS, first_frame=painter))
        tune(blind, f"seed={seed}", "method=first_frame", *options.overrides)
        record("no mask path", seed, evaluate(blind, "real-first-frame", SETS))
        tune(untuned, f"seed={seed}", *UNTUNED)
        record("untuned", seed, evaluate(untuned, "real-first-frame", SETS))
    for variant, results in references().items():
        record(variant, "-", results)
    rows.sort(key=lambda row: list(SETS).index(str(row["set"])))
    write_rows(HERE / "results.csv", rows)
    write_table(HERE / "table.md", rows, by=("set", "variant"), columns=HEADLINES)


if __name__ == "__main__":
    main()
