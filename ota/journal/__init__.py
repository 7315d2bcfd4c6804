"""Checks and reports of devices, on disk before they are counted.

An append costs one copy in memory, and appended records survive the process.
"""

from ota.journal.reader import Segment, segments
from ota.journal.set_aside import forget_old, set_aside
from ota.journal.writer import SEGMENT_BYTES, Journal, JournalFull

__all__ = ["SEGMENT_BYTES", "Journal", "JournalFull", "Segment", "forget_old", "segments", "set_aside"]
