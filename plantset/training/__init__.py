"""A config becomes a trained checkpoint: `run.train -> loop.fit -> step`."""
