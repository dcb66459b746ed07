"""What each figure means, in a line; written beside the figures."""

CONVENTIONS = {
    "mask_iou": "DAVIS J of the detected against the requested mask; frames, then clips averaged",
    "boundary_f": "DAVIS F, tolerance 0.008 of the diagonal; frames, then clips averaged",
    "mask_coverage": "share of videos with a foreground detected in more than half of the frames that ask for one",
    "centroid_distance": "distance of the centroids as a share of the diagonal, 1 where one is empty; lower is better",
    "text_alignment": "mean over frames of cosine(CLIP image, CLIP text) x 100",
    "frame_consistency_all_pairs": "mean cosine of CLIP images over all pairs of frames x 100 (LAMP, TGVE)",
    "frame_consistency_adjacent": "mean cosine of CLIP images over adjacent frames x 100 (ControlVideo, FateZero)",
    "frame_consistency_vbench": "mean of the cosines to the frame before and to the first x 100, CLIP images (VBench)",
    "foreground_look": "mean cosine of CLIP images of the foreground's crop to the first frame's x 100",
    "foreground_colour": "mean share of the foreground's colours that the first frame has, x 100 (CIELAB histograms)",
    "flow_magnitude": "mean optical flow (DIS) between adjacent frames in pixels; compare with the real clips'",
    "dynamic_degree": "share of videos whose fastest pixels move (VBench's rule, DIS flow, all frames)",
    "warp_error": "mean squared difference x 100 to the frame before warped, occlusions out; lower is better",
    "subject_consistency": "mean of the cosines to the frame before and to the first x 100, DINO images (VBench)",
    "background_psnr": (
        "PSNR in dB against the source clip outside the masks; infinite (null in JSON) where nothing changed, and in a "
        "mean with such a clip"
    ),
    "reference_mask_iou": "mask_iou of the real clips with their own masks: what the segmenter can tell at all",
    "diversity": "mean pairwise cosine x 100 between videos of one clip and several seeds; lower is more diverse",
}
