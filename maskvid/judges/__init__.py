"""The networks that judge videos: CLIP, DINO, the segmenter and SAM 2, and the panel that holds them."""
