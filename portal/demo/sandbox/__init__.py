"""The world outside the portal, in one small process: five services over real HTTP, and notices that it sends.

Needs no Django. Its records survive ``kill -9`` and its faults can be switched while it runs.
"""

from __future__ import annotations
