"""Explanations: errors, codes, events and rejections in plain words for people."""
