"""Raw footage to checked triples: shots, windows, foreground, captions, and what a person says of them."""
