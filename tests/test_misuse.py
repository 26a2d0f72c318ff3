"""Arguments of wrong types are refused in words: run without the checks of tests.

The test run checks annotations itself, which would answer before the package does.
"""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("misuse.py")


def test_wrong_types_are_refused_in_words():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
