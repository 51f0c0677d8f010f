"""What fleet ships for source repositories: package data, and the table of actions that its workflows use."""
