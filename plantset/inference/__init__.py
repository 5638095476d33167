"""Ask a trained model about photos."""
