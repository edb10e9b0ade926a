"""Linked maps in the browser: JavaScript without a build step, independent of its host."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).with_name("static")
