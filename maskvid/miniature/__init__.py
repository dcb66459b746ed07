"""Training of the embedded miniature: a tokenizer, a VAE, a segmenter, a CLIP and a text-to-image U-Net."""
