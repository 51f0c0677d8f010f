"""GitHub's REST API, one module for each part of its documentation; each offers its `ROUTES`."""
