"""Linked maps in the browser: JavaScript that is not built and knows nothing of its host."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).with_name("static")
