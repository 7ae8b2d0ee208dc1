"""Where the `device-agent` command begins. It is in device_agent.command_line, which is loaded here so that Ctrl-C ends
it without a traceback from the start."""

import sys

from hub.interrupt import INTERRUPTED, quiet_interrupt


def main() -> None:
    """Exits."""
    try:
        with quiet_interrupt():
            from device_agent import command_line
        command_line.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
