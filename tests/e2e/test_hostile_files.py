"""Files made to harm the server, sent to the running program."""

from __future__ import annotations

from pathlib import Path

from tests.builders import hostile
from tests.builders.packages import apk
from tests.e2e.program import Program

LIMIT = 512 * 1024


def most_memory_of(program: Program, words: str) -> int:
    """The peak memory of processes whose command line contains these words, in KiB."""
    found = 0
    for pid in program.pids_of(words):
        try:
            status = (Path("/proc") / str(pid) / "status").read_text()
        except OSError:
            continue
        found = max(
            found, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0
        )
    return found


def test_hostile_files_are_refused_and_the_next_upload_is_processed(program: Program) -> None:
    uploads = {name: program.upload(make()) for name, (make, _) in hostile.FILES.items()}
    seen = {"celery": 0, "ota.packages": 0}

    def are_finished() -> bool:
        for words in seen:
            seen[words] = max(seen[words], most_memory_of(program, words))
        return all(program.uploaded(upload_id)["status"] == "rejected" for upload_id in uploads.values())

    program.until(are_finished, 100)
    for name, upload_id in uploads.items():
        upload = program.uploaded(upload_id)
        assert upload["reason_code"] == hostile.FILES[name][1], name
        assert upload["reason"].endswith("."), name
    good = program.upload(apk())
    program.until(lambda: program.uploaded(good)["status"] == "ready")
    assert 0 < seen["celery"] < LIMIT
    assert seen["ota.packages"] < LIMIT
    assert not list((program.folder / "data" / "uploads" / "incoming").iterdir())


def test_no_reader_is_left_behind(program: Program) -> None:
    uploads = [program.upload(hostile.zip_bomb()), program.upload(apk()), program.upload(b"PK\x03\x04")]
    program.until(lambda: all(program.uploaded(each)["status"] in {"ready", "rejected"} for each in uploads))
    program.until(lambda: not program.pids_of("ota.packages"))
    assert [program.uploaded(each)["status"] for each in uploads] == ["rejected", "ready", "rejected"]
