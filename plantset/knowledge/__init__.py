"""Disease catalogue, and the mapping that gives each photo its disease and its texts."""
