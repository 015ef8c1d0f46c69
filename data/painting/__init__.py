"""The painter's studio behind ``data/draw_samples.py``: a canvas with brushes, and one module for each movement."""
