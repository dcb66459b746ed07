"""`python -m maskvid.export run=RUN`: a folder for others, weights, model card and samples, ready for the hub."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("export")  # before the imports below, which take seconds

import shutil
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import hydra
from huggingface_hub import HfApi, ModelCardData
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import HFValidationError
from omegaconf import DictConfig
from rich.console import Console
from safetensors.torch import load_file

from maskvid.config import CONF, register
from maskvid.description import ClipsConfig, Description
from maskvid.entry import check_config, entry_point, run
from maskvid.errors import UserError, said
from maskvid.files import atomic_write, check_output, file_name
from maskvid.metrics.conventions import CONVENTIONS
from maskvid.model import save_adapter
from maskvid.model.adapter import WEIGHTS
from maskvid.model.loading import ASSETS
from maskvid.reporting.jobs import read_jobs
from maskvid.reporting.table import inline, markdown, summarise
from maskvid.settings import Judges
from maskvid.tuned import adapter_folder, read_run

register()
SHOWN = 3  # samples of each set


def export(config: DictConfig) -> Path:
    """Write `adapter.safetensors`, `adapter.json`, `README.md` (a model card) and `samples/`; upload if asked to.

    Folders of clips and of caches, which tell of one's own machine, are left out of the description.

    Returns:
        The folder.

    Raises:
        UserError: There is no adapter, or the hub refuses.
    """
    check_config(config, "export run=RUN.")
    source, folder = Path(config.run), Path(config.out or Path(config.run, "export"))
    described = read_run(source)
    check_output(folder)
    ours = (folder / WEIGHTS).is_file()
    if folder.resolve() in (source.resolve(), adapter_folder(source).resolve()) or (folder / "checkpoints").is_dir():
        raise UserError(f"out={folder}: it is a run's own folder, which stays as it is; give another.")
    if folder.is_dir() and any(folder.iterdir()) and not config.overwrite:
        raise UserError(f"out={folder}: it holds something; give another, or replace it by overwrite=true.")
    if ours:  # an export before this one; what is not ours stays
        shutil.rmtree(folder / "samples", ignore_errors=True)
    base = config.base or described.backbone.path
    if Path(base).is_absolute():
        warnings.warn(f"others have no {base}: give base=HUB_ID, the backbone's name on the hub", stacklevel=2)
    public = replace(
        described,
        backbone=replace(described.backbone, path=base, controlnet=_public(described.backbone.controlnet)),
        judges=Judges(**{key: _public(name) for key, name in asdict(described.judges).items()}),
        clips=replace(described.clips, train=[], validation={}, cache_dir=ClipsConfig.cache_dir),
    )
    save_adapter(folder, load_file(adapter_folder(source) / WEIGHTS), asdict(public))
    samples = _copy_samples(source, folder / "samples")
    with atomic_write(folder / "README.md") as path:
        path.write_text(card(source, public, base, config.license, samples, name=config.push or source.name))
    if config.push is not None:
        _push(folder, config.push)
    return folder


def card(source: Path, described: Description, base: str, license_: str, samples: list[Path], *, name: str) -> str:
    """The model card: what it is, how it is used, what was measured."""
    data = ModelCardData(
        license=license_,
        library_name="maskvid",
        pipeline_tag="text-to-video",
        tags=["maskvid", "diffusers", "text-to-video", "mask-guided", described.method.name],
        base_model=None if base.startswith(ASSETS) or Path(base).exists() else base,
    )
    clips, method = described.clips, described.method
    strips = "\n".join(f"![{path.stem}](samples/{path.name})" for path in samples if path.suffix == ".png")
    return f"""---
{data.to_yaml()}
---

# {inline(name)}

A motion, learnt by maskvid from a few clips: masks say where the foreground is, a prompt says
what it is. An adapter on **{inline(base)}** (method `{method.name}`, {described.steps} steps, seed {described.seed}).

```python
from maskvid import MaskVidPipeline

pipe = MaskVidPipeline.from_pretrained("{name}")  # backbone={{"path": ...}} where the backbone lies elsewhere
video = pipe("[a black horse] gallops across a desert", masks="masks.mp4").frames[0]
```

The words in [brackets] name the foreground; white in the masks is foreground. Windows have {clips.num_frames} frames of
{clips.width} x {clips.height} pixels at {clips.fps:g} a second; longer videos are made segment after segment.

{strips or "No samples were kept."}

## Figures

{_figures(source)}
"""


def _figures(source: Path) -> str:
    try:
        jobs, _ = read_jobs(source)
        summary = summarise(jobs)
    except UserError:
        return "Nothing was measured.\n"
    meanings = "\n".join(f"- {name}: {CONVENTIONS[name]}" for name in summary.metrics if name in CONVENTIONS)
    return f"{markdown(summary, summary.metrics)}\nMeans with 95 % intervals over clips and seeds.\n\n{meanings}\n"


def _public(path: str | None) -> str | None:
    """A path that means something to others: a hub id or an asset; a local one does not."""
    return None if path is None or Path(path).is_absolute() else path


def _copy_samples(source: Path, target: Path) -> list[Path]:
    """The newest videos and strips of a run, some of each set."""
    newest = max((source / "samples").glob("step-*"), default=None)
    copied = []
    for suffix in (".png", ".mp4"):
        for members in sorted(newest.iterdir()) if newest else []:
            for path in sorted(members.glob(f"*{suffix}"))[:SHOWN]:
                target.mkdir(exist_ok=True)
                copied.append(target / f"{file_name(members.name)}-{path.name}")
                shutil.copyfile(path, copied[-1])
    return copied


def _push(folder: Path, name: str) -> None:
    try:
        api = HfApi()
        api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(f"push={name}: the hub refuses: {said(error)}; the folder is whole, {folder}.") from error


@hydra.main(version_base="1.3", config_path=CONF, config_name="export")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    Console(soft_wrap=True, highlight=False).print(f"export: {export(config).resolve()}")


if __name__ == "__main__":
    run(main)
