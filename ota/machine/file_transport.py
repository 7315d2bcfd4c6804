"""Celery's filesystem transport with messages that appear whole or not at all.

kombu's transport opens a file, then locks it, then writes: a reader in between finds an empty message, and
its worker ends. Here a message is written under another name and renamed into the queue. A reader takes a
message by renaming it, so that one of two readers gets it.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)

SCHEME = "files"
TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


class FileChannel(filesystem.Channel):  # type: ignore[misc]
    """One direct exchange, any number of writers and readers on one machine."""

    def get_table(self, exchange: str) -> list[Any]:
        """Return the queues of an exchange: none before one is bound."""
        with suppress(ValueError):
            return list(super().get_table(exchange))
        return []

    def _queue_bind(
        self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None
    ) -> None:
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        table = self.get_table(exchange)
        if bound not in table:
            self.control_folder.mkdir(exist_ok=True)
            _write_whole(self._exchange_file(exchange), dumps([bound, *table]))

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        _write_whole(
            Path(self.data_folder_out) / f"{time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg", dumps(payload)
        )

    def _get(self, queue: str) -> Any:
        folder = Path(self.data_folder_in)
        for name in sorted(path.name for path in folder.iterdir()):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f"{name}.taken"
            try:
                (folder / name).rename(taken)
                raw = taken.read_bytes()
                taken.unlink()
            except FileNotFoundError:
                continue  # Another reader was faster.
            try:
                return loads(raw.decode())
            except ValueError:
                log.warning("dropped the damaged message %s; the periodic task sends its upload again", name)
        raise Empty


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The transport for the scheme `SCHEME`."""

    Channel = FileChannel


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        draft.write_text(text)
        draft.rename(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ChannelError(f"the message folder cannot be written: {error.strerror}") from error
