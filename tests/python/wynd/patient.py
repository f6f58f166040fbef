"""wynd whose client asks for its ports for a minute: run as `python patient.py ARGUMENTS...`.

On a busy machine a server's processes may take longer to start than the five seconds for which a client asks.
"""

from __future__ import annotations

import sys

from libcoop.wynd import joining
from libcoop.wynd.__main__ import _run

if __name__ == "__main__":
    joining.TRIES = 60
    sys.exit(_run())
