"""The world outside the portal, in one small process: payments, banking and mail over real HTTP.

Needs no Django. Its records survive ``kill -9`` and its faults can be switched while it runs.
"""

from __future__ import annotations
