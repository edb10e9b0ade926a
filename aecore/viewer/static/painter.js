// What is painted over the points: selection, centroids, prior, marks, the polygon being drawn, and
// samples in motion; and the ring and the cross that follow the pointer.

import { element } from "./dom.js";
import { labelCentroids } from "./groups.js";
import { cross, dots, ellipse, Overlay, plate, ring, spread, written } from "./overlay.js";

const MAX_NUMBERED = 12; // marked samples that carry their numbers
const MAX_ELLIPSES = 150; // posteriors; all of them would be a grey cloud

export class Painter {
  constructor(maps) {
    this.maps = maps;
    this.overlay = new Overlay(maps.canvas, maps.figure);
    this.centroids = new WeakMap(); // by the points of a pane
  }

  /** Paint in the next frame, once however often it is asked for. */
  paintSoon() {
    this.scheduled ??= requestAnimationFrame(() => {
      this.scheduled = null;
      this.paint();
    });
  }

  paint() {
    const { maps } = this;
    if (maps.figure.panes !== maps.panes) return; // the figure still shows what was there before
    const draw = maps.groups && this.overlay.begin();
    if (!draw) return;
    this.point();
    const moving = maps.motion.points();
    maps.plot.classList.toggle("dimmed", Boolean(maps.selection.members));
    const { drawn } = maps.figure;
    maps.plot.classList.toggle("moving", Boolean(moving) && drawn.length === 1 && drawn[0] === 0);
    this.paintPanes(this.overlay, draw, moving, true);
  }

  paintPanes(overlay, draw, moving, centroids) {
    const { maps } = this, colors = this.themeColors();
    for (const pane of maps.figure.drawn) {
      overlay.inPane(draw, pane, (toPixels) => {
        const shown = pane === 0 ? moving : null;
        this.paintPane(draw, toPixels, maps.panes[pane], pane, shown, colors, centroids);
      });
    }
  }

  /** What lies over the points without the names at centroids, as a picture of so many times the size. */
  picture(scale) {
    const overlay = new Overlay(element("canvas"), this.maps.figure), draw = overlay.begin(scale);
    this.paintPanes(overlay, draw, this.maps.motion.points(), false);
    const { ink, ground, accent } = this.themeColors();
    for (const [name, pane, x, y] of this.pointed()) {
      overlay.inPane(draw, pane, (toPixels) => (name === "loupe-ring"
        ? ring(draw, toPixels(x, y), ink, ground, 8) : cross(draw, toPixels(x, y), accent, ground)));
    }
    return overlay.canvas.toDataURL();
  }

  /**
   * Ring the highlighted sample in every pane, and cross the place that is decoded. They are
   * elements, which move without painting the whole canvas anew.
   */
  point() {
    const { figure, panes, pointers } = this.maps;
    if (figure.panes !== panes || !figure.drawn.every((i) => figure.axes(i)[0]?._length)) return;
    const wanted = this.pointed();
    while (pointers.childElementCount < wanted.length) pointers.append(element("i"));
    [...pointers.children].forEach((pointer, at) => {
      const [name, pane, x, y] = wanted[at] ?? [];
      pointer.className = name ?? "";
      pointer.hidden = !name || !Number.isFinite(x);
      if (pointer.hidden) return;
      const { left, top, width, height } = figure.box(pane);
      const [px, py] = figure.toPixels(pane)(x, y);
      pointer.hidden = px < left || px > left + width || py < top || py > top + height;
      pointer.style.transform = `translate(${px}px, ${py}px)`;
    });
  }

  /** The rings and the cross: [class, pane, x, y] of each. */
  pointed() {
    const { figure, panes, place, sample, motion } = this.maps;
    const found = [];
    if (sample !== null && this.maps.visible(sample)) {
      for (const pane of figure.drawn) {
        const [points, i] = (pane === 0 && motion.follow(sample)) || [panes[pane], sample];
        found.push(["loupe-ring", pane, points[2 * i], points[2 * i + 1]]);
      }
    }
    if (place && figure.drawn.includes(0)) found.push(["loupe-cross", 0, ...place]);
    return found;
  }

  /** The page's colours of text, ground and accent, which may change at any time. */
  themeColors() {
    const style = getComputedStyle(this.maps.root);
    const [ink, ground, accent] = ["text", "background", "accent"].map(
      (name) => style.getPropertyValue(`--loupe-${name}`));
    return { ink, ground, accent };
  }

  /** Paint one pane, from the bottom up; `moving` are its samples in motion, or null. */
  paintPane(draw, toPixels, points, pane, moving, { ink, ground, accent }, centroids) {
    const { facts, pointer } = this.maps;
    if (moving) this.paintMoving(draw, toPixels, moving, ground);
    else this.paintSelected(draw, toPixels, points);
    if (pane === 0 && !moving) this.paintPosteriorsAndPrior(draw, toPixels, ink);
    if (!moving) {
      if (centroids) this.paintCentroids(draw, toPixels, points, ink, ground);
      this.paintMarks(draw, toPixels, points, facts.panes[pane].key, { ink, accent, ground });
    }
    if (pointer.polygon?.pane === pane) this.paintPolygon(draw, toPixels, accent);
  }

  /** Samples in motion, over the points at rest, which are veiled. */
  paintMoving(draw, toPixels, { points, members, color }, ground) {
    const { left, top, width, height } = this.maps.figure.box(0);
    draw.fillStyle = ground;
    draw.globalAlpha = 0.82;
    draw.fillRect(left, top, width, height);
    draw.globalAlpha = 1;
    dots(draw, toPixels, points, members, color, members.length > 3000 ? 3 : 4);
  }

  paintSelected(draw, toPixels, points) {
    const { maps } = this;
    const { members } = maps.selection;
    if (!members) return;
    // A little larger than the others, which are dimmed.
    dots(draw, toPixels, points, members, (i) => maps.color(i), maps.figure.pointSize + 0.5);
  }

  paintPolygon(draw, toPixels, accent) {
    draw.beginPath();
    for (const point of this.maps.pointer.polygon.points) draw.lineTo(...toPixels(...point));
    draw.closePath();
    draw.strokeStyle = accent;
    draw.lineWidth = 1.5;
    draw.stroke();
    draw.globalAlpha = 0.12;
    draw.fillStyle = accent;
    draw.fill();
    draw.globalAlpha = 1;
  }

  /** The samples and the place that the host has marked. */
  paintMarks(draw, toPixels, points, key, { ink, accent, ground }) {
    const { marks: { rows: marks, places }, rows, facts } = this.maps;
    const picks = facts.mode === "pick"; // where numbers are asked for
    for (const row of marks) {
      const i = rows.indexOf(row);
      if (i < 0 || !this.maps.visible(i)) continue;
      const [x, y] = toPixels(points[2 * i], points[2 * i + 1]);
      ring(draw, [x, y], accent, ground, marks.length > MAX_NUMBERED ? 4 : 6);
      if (picks && marks.length <= MAX_NUMBERED) plate(draw, `#${row}`, [x, y - 18], accent, ground);
    }
    // Over the rings of its neighbours.
    if (places[key]) {
      const [x, y] = toPixels(...places[key]);
      ring(draw, [x, y], ink, ground, 3);
      written(draw, "yours", [x, y - 20], ink, ground);
    }
  }

  /** Ellipses of one standard deviation: of some samples' posteriors, and of the prior. */
  paintPosteriorsAndPrior(draw, toPixels, ink) {
    const { maps } = this;
    const { ui, arrays, facts, sample, n } = maps;
    draw.lineWidth = 1.2;
    if (ui.ellipses && arrays.spread) {
      const spread = arrays.spread.values, points = maps.panes[0];
      const posterior = (i, color) => ellipse(
        draw, toPixels, points[2 * i], points[2 * i + 1], spread[2 * i], spread[2 * i + 1], color);
      const step = Math.max(1, Math.floor(n / MAX_ELLIPSES));
      for (let i = 0; i < n; i += step) {
        if (maps.visible(i) && !Number.isNaN(spread[2 * i])) posterior(i, maps.color(i));
      }
      if (sample !== null && maps.visible(sample)) posterior(sample, ink);
    }
    if (ui.prior && facts.prior) {
      for (const radius of [1, 2, 3]) {
        ellipse(draw, toPixels, 0, 0, radius, radius, ink);
        plate(draw, `${radius}σ`, toPixels(0, radius));
      }
    }
  }

  /** The names of the labels at the centroids of their samples, without what the legend hides. */
  paintCentroids(draw, toPixels, points, ink, ground) {
    const texts = this.centroidsOf(points)
      .map(({ title, x, y }) => ({ title, at: toPixels(x, y), width: draw.measureText(title).width }));
    for (const { title, at } of spread(texts)) written(draw, title, at, ink, ground);
  }

  /** The centroids that are shown of a pane's points: [{title, x, y}]. */
  centroidsOf(points) {
    const { arrays, facts, column, legend, ui } = this.maps;
    if (!ui.centroids || !facts.label_names.length) return [];
    if (!this.centroids.has(points)) {
      const labels = arrays["column/label"].values;
      this.centroids.set(points, labelCentroids(points, labels, facts.label_names));
    }
    const hidden = column.key === "label" ? legend.hidden : [];
    return this.centroids.get(points).filter(({ label }) => !hidden.includes(label));
  }
}
