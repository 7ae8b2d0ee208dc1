"""The weather of the places that schedules ask about, as far as it is known."""

from hub.domain.weather import Sky

Degrees = tuple[float, float]
"""Latitude and longitude."""


class Weather:
    """Until a provider is set, no weather is known."""

    def sky(self, degrees: Degrees) -> Sky | None:
        """The weather there, as it was last read; None: not known, or known too long ago. Asking for a place is what
        has it read."""
        return None
