"""From a messy folder of photos to a manifest: every file found is kept or rejected with a reason."""
