"""What mpv is started with, and why it may have found no screen."""

from collections.abc import Mapping, Sequence

FIXED = (
    "--no-config",
    "--no-terminal",
    "--idle=yes",
    "--image-display-duration=inf",
    "--loop-file=inf",
    "--hwdec=auto-safe",
    "--audio-fallback-to-null=yes",
    "--volume-max=100",
    # Nothing but content on the screen, and nobody at its keyboard or mouse:
    "--osc=no",
    "--osd-bar=no",
    "--input-default-bindings=no",
    "--input-vo-keyboard=no",
    "--input-media-keys=no",
    "--cursor-autohide=always",
    # No scripts, downloads or neighbouring files beside what was asked for:
    "--load-scripts=no",
    "--ytdl=no",
    "--autoload-files=no",
    # The identify overlay: large, centred, on a dark box.
    "--osd-font-size=80",
    "--osd-align-x=center",
    "--osd-align-y=center",
    "--osd-back-color=#C0000000",
)
WINDOW = (
    "--fullscreen",
    "--geometry=100%x100%",  # without a window manager nobody grants fullscreen
    "--force-window=yes",  # "immediate" would end mpv where there is no screen
    "--gpu-sw=yes",  # without a GPU, OpenGL in software: mpv's other outputs misplace the window or read no pixels
)
NO_OUTPUT = "null"  # mpv's name of the video output that shows nothing
SDL_DRIVERS = "x11,wayland,KMSDRM"  # without a screen SDL would draw into memory, and mpv take that for one


def why_dark(environment: Mapping[str, str], args: Sequence[str]) -> str:
    """Why mpv found nothing to draw on."""
    given = [arg for arg in args if arg.startswith("--vo=")][-1:] or [
        f"{name}={environment[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if environment.get(name)
    ]
    if given:
        return f"{' and '.join(given)} cannot be opened"
    return "DISPLAY is not set, nor WAYLAND_DISPLAY, and no DRM device can be used"
