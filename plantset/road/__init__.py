"""The whole road in one command: clean, map, train, evaluate."""
