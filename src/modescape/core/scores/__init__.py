"""Scores of predictions: accuracy, proper scoring rules, and their intervals."""
