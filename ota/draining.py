"""Former name of `ota.programs.count_reports`, kept for one release."""

from ota.programs.count_reports import main

if __name__ == "__main__":
    raise SystemExit(main())
