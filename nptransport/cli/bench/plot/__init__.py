"""Throughput as a picture, with the limits of the machine drawn in.

page.py     the whole: panels, and what stands around them
curves.py   a panel: throughput against size
bars.py     a panel where there is but one size
style.py    colours, and what is drawn at all
"""

from .page import draw

__all__ = ["draw"]
