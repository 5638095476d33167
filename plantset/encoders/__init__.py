"""Pretrained towers: photos or texts become tokens and vectors."""
