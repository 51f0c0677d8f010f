"""Runs a module as `python -m` does, but a second or two faster: `python -m fleet.sandbox.hub.quick MODULE ARGUMENT…`.

`jsonschema`, which JupyterHub's events need, compiles a grammar for a format that nothing here uses, for 1.7 seconds at
every start, if the package with that grammar is installed; here it is not.
"""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # importing it now raises ImportError
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
