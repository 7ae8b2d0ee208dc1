"""Where the `hub` command begins. It is in hub.command_line, which is loaded here so that Ctrl-C ends it without a
traceback from the start."""

import sys

from hub.interrupt import INTERRUPTED, quiet_interrupt


def main() -> None:
    """Exits."""
    try:
        with quiet_interrupt():
            from hub import command_line
        command_line.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
