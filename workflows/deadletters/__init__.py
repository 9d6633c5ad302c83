"""Dead letters: events that a subscriber could not act on, and what people do with them.

``queries`` are what pages and API show, ``payload`` compares and checks what an event says (pure), ``services`` are a
person's commands, ``bulk`` tells the bulk machinery how many of them are repaired at once.
"""

from __future__ import annotations
