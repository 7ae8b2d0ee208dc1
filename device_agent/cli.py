"""Where the `device-agent` command begins. It is in device_agent.program, which is loaded here so that Ctrl-C ends it
without a traceback from the start."""

import sys

from hub.interrupt import INTERRUPTED, quiet_interrupt


def main() -> None:
    """Exits."""
    try:
        with quiet_interrupt():
            from device_agent import program
        program.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
