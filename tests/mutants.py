"""Changes that ruin the method, each of which a test must see: `python -m tests.mutants [name ...]`.

Each mutant is one change of one text in a copy of the checkout; the tests named beside it must then fail, every one of
them, by an assertion. They must pass without it. A test that nothing can fail is found out here, and so is a table that
was not kept up: its text must occur exactly once.

Libraries take most of the time, so they are imported once and each mutant runs in a fork that has them already.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("maskvid", "conf", "tests", "pyproject.toml")
AT_ONCE = 2


@dataclass(frozen=True)
class Mutant:
    """A change that ruins the method.

    Attributes:
        name: What it ruins, for the command line.
        file: Within the checkout.
        old: Occurs there exactly once.
        new: What takes its place.
        tests: Test functions, every one of which must fail: `file::function`, within `tests/`.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MODULE = "test_module.py::"
LOSS = f"{MODULE}test_a_step_scores_what_the_backbone_predicts_on_the_noised_frames_alone"
CLEAN = f"{MODULE}test_frame_0_is_given_clean_to_the_last_bit_and_no_other_is"
RATES = f"{MODULE}test_rates_are_those_configured_warm_up_and_fall_to_zero"
PASSES = "test_guidance.py::test_both_passes_of_guidance_see_the_masks_and_differ_in_the_prompt_alone"
SCALE = "model/test_backbone.py::test_latents_are_on_the_scale_that_the_2d_unet_was_trained_on"
ADAPTER = "test_train.py::test_the_adapter_is_the_average_and_what_is_loaded_from_it"
POLARITY = (
    "model/test_attention.py::test_foreground_attends_to_foreground_and_background_to_background",
    "model/test_attention.py::test_the_subjects_words_bind_to_the_foreground",
)

MUTANTS = (
    Mutant(
        "velocity_trained_towards_noise",
        "maskvid/module.py",
        'if self.schedule.config.prediction_type == "v_prediction":',
        "if False:",
        (LOSS,),
    ),
    Mutant(
        "first_frame_noised_in_training",
        "maskvid/module.py",
        "noisy = torch.cat([latents[:, :clean], noisy[:, clean:]], 1)",
        "pass",
        (CLEAN,),
    ),
    Mutant(
        "mask_rate_gone",
        "maskvid/module.py",
        "self.optim.mask_learning_rate",
        "self.optim.learning_rate",
        (RATES,),
    ),
    Mutant("rate_never_falls", "maskvid/module.py", "max(falling, 0.0)", "1.0", (RATES,)),
    Mutant("polarity_reversed", "maskvid/model/attention.py", "return 2 * masks - 1", "return 1 - 2 * masks", POLARITY),
    Mutant(
        "unconditional_pass_blind",
        "maskvid/sampled.py",
        "asked = empty() if unconditional",
        "asked = replace(empty(), masks=torch.zeros_like(batch.masks)) if unconditional",
        (PASSES,),
    ),
    Mutant(
        "scored_by_imprecise_masks",
        "maskvid/module.py",
        "masks=masks[i].cpu()",
        "masks=batch.masks[i].cpu()",
        (f"{MODULE}test_videos_of_imprecise_masks_are_scored_by_the_exact_ones",),
    ),
    Mutant(
        "first_frame_scored",
        "maskvid/diffusion/loss.py",
        "prediction[:, clean_frames:].float() - target[:, clean_frames:].float()",
        "prediction.float() - target.float()",
        (LOSS, "diffusion/test_diffusion.py::test_the_first_frame_is_never_scored"),
    ),
    Mutant(
        "noisy_levels_never_trained", "maskvid/module.py", "randint(num_levels,", "randint(num_levels // 2,", (CLEAN,)
    ),
    Mutant(
        "convolution_looks_ahead",
        "maskvid/model/temporal.py",
        "F.pad(hidden, (0, 0, 0, 0, 2, 0))",
        "F.pad(hidden, (0, 0, 0, 0, 0, 2))",
        ("model/test_inflate.py::test_a_trained_temporal_convolution_looks_back_only",),
    ),
    Mutant("latents_not_scaled", "maskvid/model/backbone.py", " * vae.config.scaling_factor", "", (SCALE,)),
    Mutant(
        "validation_masks_inverted",
        "maskvid/data/windows.py",
        "to_float(np.asarray(clip.masks)), frames_to_float",
        "1 - to_float(np.asarray(clip.masks)), frames_to_float",
        ("data/test_datamodule.py::test_masks_fit_their_latents",),
    ),
    Mutant(
        "frames_share_no_noise_in_sampling",
        "maskvid/sampled.py",
        "alpha = self.noise.alpha if self.noise.sampling_alpha is None else self.noise.sampling_alpha",
        "alpha = 0.0",
        ("test_guidance.py::test_a_video_starts_from_noise_that_its_frames_share_as_configured",),
    ),
    Mutant(
        "guidance_reversed",
        "maskvid/diffusion/sampling.py",
        "unconditional + guidance_scale * (conditional - unconditional)",
        "conditional + guidance_scale * (unconditional - conditional)",
        (PASSES,),
    ),
    Mutant(
        "subject_never_marked",
        "maskvid/sampled.py",
        "subject=batch.subject,",
        "subject=torch.zeros_like(batch.subject),",
        (PASSES,),
    ),
    Mutant(
        "prediction_type_ignored",
        "maskvid/diffusion/scheduler.py",
        "**settings)",
        '**{**settings, "prediction_type": "epsilon"})',
        ("test_guidance.py::test_what_samples_has_the_backbones_own_schedule",),
    ),
    Mutant(
        "colours_of_the_last_frame",
        "maskvid/diffusion/sampling.py",
        "first, later = latents[:, :1], latents[:, 1:]",
        "first, later = latents[:, -1:], latents[:, 1:]",
        ("diffusion/test_diffusion.py::test_adain_gives_the_first_frames_statistics",),
    ),
    Mutant(
        "adapter_without_average",
        "maskvid/callbacks/adapter_file.py",
        "with averaged(trainer, pl_module):",
        "if True:",
        (ADAPTER,),
    ),
    Mutant(
        "adapter_never_loaded",
        "maskvid/tuned.py",
        "load_adapter(folders[0], unet)",
        "read_adapter(folders[0])",
        (ADAPTER,),
    ),
    Mutant(
        "average_forgotten_on_resuming",
        "maskvid/callbacks/ema.py",
        '{name: value.clone() for name, value in state_dict["average"].items()}',
        "{}",
        ("callbacks/test_ema.py::test_resume_is_exact_bit_for_bit",),
    ),
    Mutant(
        "mask_guidance_reversed",
        "maskvid/diffusion/sampling.py",
        "(mask_scale - 1) * (conditional - denoise(latents, timestep, unknown=True))",
        "(mask_scale - 1) * (denoise(latents, timestep, unknown=True) - conditional)",
        ("test_guidance.py::test_mask_scale_goes_from_unknown_masks_to_the_masks_and_beyond",),
    ),
    Mutant(
        "masks_never_forgotten",
        "maskvid/module.py",
        "torch.where(kept, batch.masks, UNKNOWN)",
        "batch.masks",
        ("test_guidance.py::test_training_forgets_the_masks_of_a_share_of_the_windows",),
    ),
    Mutant(
        "difference_instead_of_sum",
        "maskvid/model/low_rank.py",
        "return frozen + trained(x) if isinstance",
        "return trained(x) if isinstance",
        ("model/test_low_rank.py::test_at_the_start_every_frame_is_the_2d_unets",),
    ),
    Mutant(
        "rough_masks_hardened",
        "maskvid/clip.py",
        "(1 - SOFTEST * roughness",
        "(1 + SOFTEST * roughness",
        ("test_second_stage.py::test_rough_masks_are_drawn_in_towards_what_nobody_knows",),
    ),
    Mutant(
        "everything_tuned_on_rough_masks",
        "maskvid/model/inflate.py",
        "self.steering.requires_grad_(False)",
        "self.steering.requires_grad_(True)",
        ("test_second_stage.py::test_exact_masks_lose_nothing_to_the_bit",),
    ),
    Mutant(
        "first_frame_taken_away_from_the_start",
        "maskvid/sampled.py",
        "noise[:, 1:] += self.noise.brought",
        "noise[:, 1:] -= self.noise.brought",
        ("test_sampled.py::test_sampling_starts_from_noise_that_shows_the_first_frame_brought_to_the_masks",),
    ),
    Mutant(
        "coat_left_behind",
        "maskvid/model/registration.py",
        "brought(grid_points(h, w, small), centres, spreads)[:, 1:]",
        "brought(grid_points(h, w, small), centres.flip(1), spreads)[:, 1:]",
        ("model/test_registration.py::test_a_coat_keeps_its_pattern_where_it_was",),
    ),
    Mutant(
        "masks_of_another_part",
        "maskvid/data/zooms.py",
        "return zoom.cut(masks, height, width)",
        "return masks[:, :height, :width]",
        ("data/test_zooms.py::test_pictures_and_masks_show_the_same_part",),
    ),
    Mutant(
        "hooves_slide",
        "maskvid/masks/draw/strides.py",
        "over.way[frame] / cycle.stride",
        "2 * over.way[frame] / cycle.stride",
        ("masks/test_raster.py::test_no_hoof_slides",),
    ),
    Mutant(
        "what_is_in_front_hides_nothing",
        "maskvid/masks/draw/raster.py",
        "seen = seen * (1 - covered)",
        "seen = seen * 1",
        ("masks/test_raster.py::test_what_is_in_front_hides_and_occluders_are_no_foreground",),
    ),
    Mutant(
        "the_given_frame_counts",
        "maskvid/metrics/following.py",
        "values[self.given_frames :] or values",
        "values",
        ("metrics/test_following.py::test_the_figures_are_those_of_each_frame_in_whatever_pieces_it_comes",),
    ),
    Mutant(
        "the_worst_of_several",
        "maskvid/generate.py",
        "best = max(made",
        "best = min(made",
        ("test_feedback.py::test_the_best_of_several_is_the_one_of_its_seed_alone",),
    ),
)


def mutate(root: Path, mutant: Mutant) -> None:
    """Apply a change to a copy of the checkout.

    Raises:
        SystemExit: The text to change does not occur exactly once.
    """
    path = root / mutant.file
    text = path.read_text() if path.is_file() else ""
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.name}: {mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.file}, not once; "
            "write into the table of tests/mutants.py what the code is now."
        )
    path.write_text(text.replace(mutant.old, mutant.new))


def copy_checkout(folder: Path) -> Path:
    """A copy of what tests need; assets, which are large and never changed, are linked."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "assets"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "maskvid" / "assets").symlink_to(ROOT / "maskvid" / "assets")
    return folder


class Witness:
    """A pytest plugin that remembers which tests failed, and whether by an assertion."""

    def __init__(self) -> None:
        self.failed: dict[str, bool] = {}

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Called by pytest after setup, call and teardown of each test."""
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            function = item.nodeid.partition("[")[0].removeprefix("tests/")
            asserted = call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
            self.failed[function] = call.when == "call" and asserted and self.failed.get(function, True)


def run_tests(folder: Path, tests: Sequence[str]) -> None:
    """Run tests on a copy, in a forked process that ends with pytest's status; `failed.json` says what failed."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
    import maskvid

    if Path(maskvid.__file__).parent != folder / "maskvid":
        raise SystemExit(f"{maskvid.__file__} is imported in place of the copy in {folder}")
    witness = Witness()
    options = ["-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}"]
    status = pytest.main([*options, *(f"tests/{test}" for test in tests)], plugins=[witness])
    (folder / "failed.json").write_text(json.dumps(witness.failed))
    sys.exit(int(status))


def preload() -> None:
    """Import all that tests import, then forget what the copies have of their own."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # as many processes as cores already
    import tests.test_module  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] in ("maskvid", "tests")]:
        del sys.modules[name]


def run_all(jobs: dict[str, tuple[Path, Sequence[str]]]) -> dict[str, int | None]:
    """Run jobs, a copy and its tests by name, a few at once; each one's exit status."""
    context = multiprocessing.get_context("fork")
    waiting, running = dict(jobs), dict[Any, Any]()
    status: dict[str, int | None] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name = next(iter(waiting))
            process = context.Process(target=run_tests, args=waiting.pop(name))
            process.start()
            running[process.sentinel] = (name, process)
        for sentinel in wait(list(running)):
            name, process = running.pop(sentinel)
            process.join()
            status[name] = process.exitcode
    return status


def fault(mutant: Mutant, folder: Path, status: int | None) -> str | None:
    """Why a mutant does not count as seen; None where all its tests saw it."""
    if status not in (0, 1):
        return f"pytest ended with status {status}, not by a failed test: see {folder / 'log.txt'}"
    failed = json.loads((folder / "failed.json").read_text())
    blind = [test for test in mutant.tests if test not in failed]
    if blind:
        return f"survived {', '.join(blind)}"
    broken = [test for test in mutant.tests if not failed[test]]
    return f"failed by an error, not by an assertion: {', '.join(broken)}" if broken else None


def main(names: Sequence[str]) -> int:
    """Run the mutants of these names, or all; 1 where one of them survives."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no mutant {unknown[0]!r}: choose of {', '.join(known)}.")
    chosen = [known[name] for name in names] or list(MUTANTS)
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    as_it_is = "(as it is)"
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    jobs: dict[str, tuple[Path, Sequence[str]]] = {as_it_is: (copy_checkout(folder / "as_it_is"), tests)}
    for mutant in chosen:
        copy = copy_checkout(folder / mutant.name)
        mutate(copy, mutant)
        jobs[mutant.name] = (copy, mutant.tests)
    preload()
    status = run_all(jobs)
    faults = {mutant.name: fault(mutant, jobs[mutant.name][0], status[mutant.name]) for mutant in chosen}
    if status[as_it_is] != 0:
        faults[as_it_is] = f"its tests do not pass: see {jobs[as_it_is][0] / 'log.txt'}"
    table = Table("mutant", "seen by", box=None)
    for mutant in chosen:
        seen = "\n".join(test.partition("::")[2] for test in mutant.tests)
        table.add_row(mutant.name, seen if faults[mutant.name] is None else "[bold red]nothing[/]")
    console = Console(width=160, soft_wrap=True)
    console.print(table)
    for name, reason in faults.items():
        if reason is not None:
            console.print(f"[bold red]{name}[/]: {reason}", highlight=False)
    if any(faults.values()):
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
