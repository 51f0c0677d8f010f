"""Where the user images of hubs are written in Helm values files, and how to change one of them.

Pure: bytes in, bytes out. A *slot* is what users see, a *site* is what an editor touches; both are many to many.
"""

from fleet.values.document import ValuesFile, is_encrypted, parse_values
from fleet.values.edit import edit, read_site
from fleet.values.images import Site
from fleet.values.paste import paste_lines
from fleet.values.slots import find_prefix, find_sites

__all__ = [
    "Site",
    "ValuesFile",
    "edit",
    "find_prefix",
    "find_sites",
    "is_encrypted",
    "parse_values",
    "paste_lines",
    "read_site",
]
