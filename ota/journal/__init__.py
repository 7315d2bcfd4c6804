"""What devices say, written down before it is counted: an append costs a copy in memory, and what was appended survives the process."""

from ota.journal.reader import Segment, segments
from ota.journal.set_aside import forget_old, set_aside
from ota.journal.writer import SEGMENT_BYTES, Journal, JournalFull

__all__ = ["SEGMENT_BYTES", "Journal", "JournalFull", "Segment", "forget_old", "segments", "set_aside"]
