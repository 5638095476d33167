"""The eight scripts: public names of `plantset`, each file also a command."""
