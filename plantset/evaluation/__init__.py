"""Judgement: what a trained model's answers are worth, with intervals, baselines and a report for people."""
