"""The map of a workflow: its definition as a layered drawing, in numbers for an SVG. Imports no Django."""

from __future__ import annotations

from workflows.map.drawing import Box, Chip, Edge, Plug, WorkflowMap, draw
from workflows.map.layers import INPUT, EdgeKind, sources
from workflows.map.words import markers

__all__ = ["INPUT", "Box", "Chip", "Edge", "EdgeKind", "Plug", "WorkflowMap", "draw", "markers", "sources"]
