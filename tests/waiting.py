"""How long a test waits for what must happen. When all is well nothing waits so long: it is for a slow machine, or one
with other things to do."""

PATIENCE_S = 60.0
