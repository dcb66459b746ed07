"""The embedded world: procedural animals with exact masks and captions, so that nothing has to be downloaded.

Only re-rendering needs MuJoCo (`pip install 'maskvid[world]'`); words, movements and rendered pictures do not.
"""

import os
import sys

if sys.platform == "linux":
    # Needs neither a display nor a system package. MuJoCo reads it when it is first imported, hence here.
    os.environ.setdefault("MUJOCO_GL", "egl")
