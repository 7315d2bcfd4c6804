"""Former name of `ota.programs.send_alerts`, kept for one release."""

from ota.programs.send_alerts import main

if __name__ == "__main__":
    main()
