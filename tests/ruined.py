"""What `tests.mutants` ruins: each change with the tests that must see it."""

from __future__ import annotations

from dataclasses import dataclass


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
    Mutant(
        "self_attention_reversed",
        "maskvid/model/regions.py",
        "agreement = 2 * own - 1",
        "agreement = 1 - 2 * own",
        ("model/test_attention.py::test_foreground_attends_to_foreground_and_background_to_background",),
    ),
    Mutant(
        "cross_attention_reversed",
        "maskvid/model/attention.py",
        "(2 * masks - 1).unsqueeze(1)",
        "(1 - 2 * masks).unsqueeze(1)",
        ("model/test_attention.py::test_the_subjects_words_bind_to_the_foreground",),
    ),
    Mutant(
        "words_bind_to_anothers_mask",
        "maskvid/model/guide.py",
        "else subjects.transpose(1, 2)",
        "else subjects.transpose(1, 2).flip(-1)",
        ("test_subjects.py::test_words_bind_to_their_own_mask",),
    ),
    Mutant(
        "subjects_agree_with_each_other",
        "maskvid/model/regions.py",
        "else own - _tokens(ground, (h, w))",
        "else 2 * own.sum(-1, keepdim=True) - 1 + 0 * own",
        ("test_subjects.py::test_each_subject_agrees_with_itself_and_the_ground_with_the_ground",),
    ),
    Mutant(
        "encoder_steered_all_the_same",
        "maskvid/model/inflate.py",
        'return has.layers == "all" or name.startswith("up_blocks")',
        "return True",
        ("model/test_inflate.py::test_the_way_up_alone_is_steered",),
    ),
    Mutant(
        "masks_fitted_the_wrong_way",
        "maskvid/masks/fitting.py",
        "for way in centres[1] - centres[0])",
        "for way in centres[0] - centres[1])",
        ("masks/test_fitting.py::test_what_is_wrong_alike_in_all_frames_is_mended",),
    ),
    Mutant(
        "coats_brought_to_no_mask_of_their_own",
        "maskvid/model/registration.py",
        "for own in small.split(1, 2):",
        "for own in [small.amax(2, keepdim=True)]:",
        ("test_subjects.py::test_the_first_frame_is_brought_to_each_subjects_own_mask",),
    ),
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
    Mutant(
        "masks_guide_every_step",
        "maskvid/diffusion/sampling.py",
        "2 * step >= len(timesteps)",
        "True",
        ("test_guidance.py::test_mask_scale_goes_from_unknown_masks_to_the_masks_and_beyond",),
    ),
    Mutant(
        "optimiser_not_as_named",
        "maskvid/module.py",
        'if self.optim.name == "muon":',
        "if False:",
        ("model/test_roles.py::test_the_optimiser_steps_as_its_name_says",),
    ),
    Mutant(
        "optimiser_slow_on_processors",
        "maskvid/optimiser.py",
        "torch.bfloat16 if stack[0].is_cuda else torch.float32",
        "torch.bfloat16",
        ("test_optimiser.py::test_matrices_are_orthogonalised_in_float32_where_no_gpu_is",),
    ),
    Mutant("latents_not_scaled", "maskvid/model/latents.py", " * vae.config.scaling_factor", "", (SCALE,)),
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
        "brought(grid_points(h, w, own), *moments(own))[:, 1:]",
        "brought(grid_points(h, w, own), moments(own)[0].flip(1), moments(own)[1])[:, 1:]",
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
