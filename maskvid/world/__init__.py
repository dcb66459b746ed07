"""The embedded world: procedural animals with exact masks and captions, so that nothing has to be downloaded.

Only re-rendering needs MuJoCo (`pip install maskvid[world]`); the vocabulary in `captions` does not.
"""
