// The pointer over the panes: samples under it, places to decode, lassos, boxes and clicks.

import { rounded } from "./address.js";
import { Cells } from "./geometry.js";

const HIT_RADIUS = 14; // pixels around the pointer in which a sample is found

export class Pointer {
  constructor(maps) {
    this.maps = maps;
    this.polygon = null; // being drawn: {pane, points}
    this.pressedAt = null; // where a click to pick began
    this.decoding = false; // whether a drag decodes
    for (const [event, handler] of Object.entries({
      pointermove: this.moved, pointerdown: this.pressed, pointerup: this.released,
      pointercancel: this.released, wheel: this.wheeled, dblclick: this.doubled,
      touchstart: this.touched,
    })) {
      // In the capture phase, so that Plotly sees only the gestures that are left to it.
      maps.plot.addEventListener(event, handler.bind(this), { capture: true, passive: false });
    }
  }

  /** Begin with the panes that are shown now. */
  show() {
    this.cells = this.maps.panes.map(() => null); // of each pane, when it is first needed
  }

  /** Where an event lies in the plot, in pixels. */
  pixel(event) {
    const { left, top } = this.maps.plot.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  /** The number of the visible sample at a place of a pane, or -1. */
  nearest({ pane, x, y, unit }) {
    const { maps } = this;
    this.cells[pane] ??= new Cells(maps.panes[pane]);
    return this.cells[pane].nearest(x, y, HIT_RADIUS * unit, (i) => maps.visible(i));
  }

  moved(event) {
    const { maps } = this;
    if (!maps.figure.size) return;
    const [px, py] = this.pixel(event);
    if (this.decoding) {
      event.stopPropagation();
      const { x, y } = maps.figure.within(0, px, py);
      maps.card.decodeSoon([x, y]);
    } else if (this.polygon) {
      event.stopPropagation();
      const { x, y } = maps.figure.within(this.polygon.pane, px, py);
      this.extend(x, y);
      maps.painter.paintSoon();
    } else if (!event.buttons) {
      const at = maps.figure.at(px, py);
      if (at) this.point(at);
    }
  }

  /** Highlight the sample at a place. */
  point(at) {
    const i = this.nearest(at);
    if (i >= 0 && i !== this.maps.sample) this.maps.highlight(i);
  }

  /** Extend the lasso, or the box, to a place. */
  extend(x, y) {
    const { points } = this.polygon;
    if (this.maps.ui.tool === "lasso") points.push([x, y]);
    else {
      const [x0, y0] = points[0];
      points.splice(1, 3, [x, y0], [x, y], [x0, y]);
    }
  }

  pressed(event) {
    const { figure, ui, facts, plot, card } = this.maps;
    const at = event.button === 0 && figure.size && figure.at(...this.pixel(event));
    if (!at) return;
    const { tool } = ui;
    const decodes = tool === "explore" && at.pane === 0 && facts.decodes;
    // A finger does not point before it presses.
    if (tool === "explore" && event.pointerType !== "mouse") this.point(at);
    if (!decodes && !["pick", "lasso", "box"].includes(tool)) return;
    event.stopPropagation();
    event.preventDefault();
    plot.setPointerCapture(event.pointerId);
    if (decodes) {
      this.decoding = true;
      card.decodeSoon([at.x, at.y]);
    } else if (tool === "pick") {
      this.pressedAt = at;
    } else {
      this.polygon = { pane: at.pane, points: [[at.x, at.y]] };
    }
  }

  released(event) {
    const { figure, facts, card, selection } = this.maps;
    if (this.decoding) {
      event.stopPropagation();
      this.decoding = false;
      card.sendPlace();
    } else if (this.pressedAt) {
      event.stopPropagation();
      const { pressedAt: at } = this;
      this.pressedAt = null;
      const { x, y } = figure.within(at.pane, ...this.pixel(event));
      const moved = Math.hypot(x - at.x, y - at.y) > HIT_RADIUS * at.unit;
      // A finger that scrolls the page ends in a cancel.
      if (event.type === "pointerup" && !moved) selection.pick(this.nearest(at));
    } else if (this.polygon) {
      event.stopPropagation();
      const { pane, points } = this.polygon;
      this.polygon = null;
      if (points.length > 2) selection.select({ pane: facts.panes[pane].key, polygon: rounded(points) });
      else if (facts.mode === "pick") {
        selection.pick(this.nearest(figure.at(...this.pixel(event))));
      } else selection.select(null);
    }
  }

  /** Show every sample of a pane, where a double click has no other meaning. */
  doubled(event) {
    const { figure, ui } = this.maps;
    const at = figure.size && figure.at(...this.pixel(event));
    if (at && (ui.tool === "move" || (ui.tool === "explore" && at.pane > 0))) figure.reset([at.pane]);
  }

  /** Keep a finger that decodes, draws or picks from moving the pane as well. */
  touched(event) {
    if (this.decoding || this.polygon || this.pressedAt) event.stopPropagation();
  }

  wheeled(event) {
    // The page scrolls as everywhere; with Ctrl or Cmd, or in the tool for it, the wheel zooms.
    if (event.ctrlKey || event.metaKey || this.maps.ui.tool === "move") {
      if (event.ctrlKey) event.preventDefault();
    } else event.stopPropagation();
  }
}
