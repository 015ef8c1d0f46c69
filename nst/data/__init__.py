"""Folders of pictures, pairing, and the data module."""
