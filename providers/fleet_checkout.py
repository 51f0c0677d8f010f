"""The code host that is a local git checkout."""
