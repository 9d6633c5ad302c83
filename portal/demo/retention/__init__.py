"""Documents of closed matters: copied from the document store to the archive, and the date until which they stay."""

from __future__ import annotations
