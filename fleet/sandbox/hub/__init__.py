"""Real JupyterHubs on loopback: JupyterHub from PyPI behind configurable-http-proxy from npm, each with its own ports.

What is not real is the cluster below: servers are processes of this machine, and an image is not pulled but looked up
in its registry. What users would see of it they see: `JUPYTER_IMAGE` in a kernel, `ErrImagePull` where it is missing.

`serving` starts hubs, `settings` holds what they are told, `client` does what a user does. Nothing is imported here,
because every process of a hub imports this package.
"""
