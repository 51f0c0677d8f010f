"""fleet: a declarative fleet manager for JupyterHub images."""

__version__ = "0.1.0"
