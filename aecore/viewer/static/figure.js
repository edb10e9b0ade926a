// The panes: one Plotly figure with a subplot for each, because a browser has few WebGL contexts.

import { frameOf } from "./geometry.js";

const STRIP = 26; // above each pane, for its title and its measures
const GAP = 10;

let loading = null;

/** Plotly, from the file that the installed package ships. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url);
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

export class Figure {
  /**
   * @param root the element that Plotly draws in
   * @param changed called whenever an axis has moved; with true where it has come to rest
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.drawn = [];
    // Plotly would keep zooms by the number of a pane, which shows something else at another time.
    this.views = new Map(); // by what a pane shows: the part of it that the reader chose
    this.frames = new WeakMap(); // by the points of a pane: the part that is shown at first
  }

  /** How many panes stand side by side, and the height of one, in this place. */
  shape(count, width, height) {
    const fixed = Math.min(count, width < 520 ? 1 : count > 4 && width > 1000 ? 3 : 2);
    const filling = count <= 3 && width > 1.2 * height ? count : Math.ceil(count / 2);
    const columns = height ? filling : fixed;
    const rows = Math.ceil(count / columns);
    const paneWidth = (width - GAP * (columns - 1)) / columns;
    const own = height
      ? Math.max(Math.floor((height - 2) / rows) - STRIP, 120)
      : Math.round(Math.min(Math.max(paneWidth * 0.68, 220), 440));
    return { columns, rows, paneWidth, height: own };
  }

  /** Where pane number i lies, in pixels; the last is as wide as what is left of its row. */
  box(i) {
    const { columns, paneWidth, height } = this.size;
    const at = this.drawn.indexOf(i), column = at % columns;
    const span = at === this.drawn.length - 1 ? columns - column : 1;
    return {
      left: column * (paneWidth + GAP),
      top: Math.floor(at / columns) * (height + STRIP) + STRIP,
      width: span * (paneWidth + GAP) - GAP,
      height,
    };
  }

  /**
   * Draw the panes.
   *
   * @param panes points (n, 2) of each
   * @param groups {members, color} for each colour: the numbers of the samples that have it
   * @param options keys: what each pane shows; only: the number of the one pane to draw, or null
   *   for all; height: of the figure, or null for one that suits its width; labels: the class of
   *   each sample, or null
   */
  async draw(panes, groups, { keys, only, height, labels }) {
    this.panes = panes;
    this.labels = labels;
    this.groups = groups;
    this.keys = keys;
    this.plotly = await plotly();
    const width = this.root.clientWidth;
    if (!width) return; // hidden: drawn when it gets a size
    this.drawn = only === null ? panes.map((_, i) => i) : [only];
    this.size = this.shape(this.drawn.length, width, height);
    this.height = this.size.rows * (this.size.height + STRIP);
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: false };
    await this.plotly.react(this.root, this.traces(), this.layout(width), config);
    if (!this.listening) {
      this.root.on("plotly_relayouting", () => this.changed(false));
      this.root.on("plotly_relayout", () => {
        this.keepViews();
        this.changed(true);
      });
      this.listening = true;
    }
    this.changed(true);
  }

  /** The diameter of a point in pixels. */
  get pointSize() {
    return Math.min(Math.max(120 / Math.sqrt(this.panes[0].length / 2), 2.5), 6);
  }

  traces() {
    const { groups, pointSize: size } = this;
    // Plotly leaves out the axes of a pane without a trace.
    const drawn = groups.length ? groups : [{ members: [], color: "grey" }];
    return this.drawn.flatMap((i) => drawn.map(({ members, color }) => {
      const points = this.panes[i];
      const x = new Float32Array(members.length), y = new Float32Array(members.length);
      members.forEach((member, at) => {
        x[at] = points[2 * member];
        y[at] = points[2 * member + 1];
      });
      const [xaxis, yaxis] = ["x", "y"].map((axis) => axis + suffix(i));
      return {
        type: "scattergl", mode: "markers", x, y, xaxis, yaxis,
        marker: { size, color, opacity: this.opacity(i) },
      };
    }));
  }

  /** How opaque the points of a pane are: a background is seen between them. */
  opacity(i) {
    return i === 0 && this.image ? 0.45 : 0.8;
  }

  layout(width) {
    const axis = {
      showticklabels: false, ticks: "", zeroline: false, showgrid: false, showline: true,
      mirror: true, linecolor: "rgba(128,138,148,0.4)", automargin: false, autorange: false,
    };
    const layout = {
      width, height: this.height, margin: { l: 1, r: 1, t: 1, b: 1 }, showlegend: false,
      hovermode: false, dragmode: "pan", paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      images: this.image && this.drawn.includes(0) ? [this.image] : [],
    };
    for (const i of this.drawn) {
      const name = suffix(i);
      const { left, top, width: w, height: h } = this.box(i);
      const x = [left / width, (left + w) / width];
      const y = [1 - (top + h) / this.height, 1 - top / this.height];
      const ranges = this.ranges(i);
      layout[`xaxis${name}`] = { ...axis, domain: x, anchor: `y${name}`, range: ranges.x };
      layout[`yaxis${name}`] = {
        ...axis, domain: y, anchor: `x${name}`, scaleanchor: `x${name}`, range: ranges.y,
      };
    }
    return layout;
  }

  // --- Views ---

  /** The part of a pane that is shown: {x, y} of its middle, and its {width, height}. */
  view(i) {
    const points = this.panes[i];
    if (!this.frames.has(points)) this.frames.set(points, frameOf(points, true, this.labels));
    return this.views.get(this.keys[i]) ?? this.frames.get(points);
  }

  /** The ranges of the axes that show this part, as large as the box allows. */
  ranges(i) {
    const { x, y, width, height } = this.view(i);
    const box = this.box(i);
    const unit = Math.max(width / box.width, height / box.height);
    const around = (middle, pixels) => [middle - (unit * pixels) / 2, middle + (unit * pixels) / 2];
    return { x: around(x, box.width), y: around(y, box.height) };
  }

  /** Keep the part of each pane that the reader has moved or zoomed to. */
  keepViews() {
    for (const i of this.drawn) {
      const [{ range: [x0, x1] }, { range: [y0, y1] }] = this.axes(i);
      const { x, y } = this.ranges(i);
      // Plotly moves the ends by parts of a pixel, so that both axes have one scale.
      const far = (value, other) => Math.abs(value - other) > 2e-3 * Math.abs(x1 - x0);
      if (far(x0, x[0]) || far(x1, x[1]) || far(y0, y[0]) || far(y1, y[1])) {
        this.views.set(this.keys[i], {
          x: (x0 + x1) / 2, y: (y0 + y1) / 2, width: x1 - x0, height: y1 - y0,
        });
      }
    }
  }

  /** Show these parts, {number of the pane: view}. */
  look(views) {
    const ranges = {};
    for (const [i, view] of Object.entries(views)) {
      this.views.set(this.keys[i], view);
      if (!this.drawn.includes(Number(i))) continue;
      const { x, y } = this.ranges(Number(i));
      ranges[`xaxis${suffix(Number(i))}.range`] = x;
      ranges[`yaxis${suffix(Number(i))}.range`] = y;
    }
    return this.plotly.relayout(this.root, ranges);
  }

  /** Show every sample of these panes. */
  reset(panes = this.drawn) {
    return this.look(Object.fromEntries(panes.map((i) => [i, frameOf(this.panes[i], false)])));
  }

  /** Zoom into the drawn panes, or out by a factor above 1. */
  zoom(factor) {
    return this.look(Object.fromEntries(this.drawn.map((i) => {
      const view = this.view(i);
      return [i, { ...view, width: view.width * factor, height: view.height * factor }];
    })));
  }

  /** How many of the samples that `admits` takes lie outside of what a pane shows. */
  outside(i, admits) {
    const { x: [x0, x1], y: [y0, y1] } = this.ranges(i);
    const points = this.panes[i];
    let count = 0;
    for (let at = 0; at < points.length / 2; at++) {
      const x = points[2 * at], y = points[2 * at + 1];
      if ((x < x0 || x > x1 || y < y0 || y > y1) && admits(at)) count++;
    }
    return count;
  }

  // --- Places ---

  axes(i) {
    const name = suffix(i);
    const full = this.root._fullLayout;
    return [full?.[`xaxis${name}`], full?.[`yaxis${name}`]];
  }

  /** A function from data coordinates of a pane to pixels. */
  toPixels(i) {
    const [x, y] = this.axes(i);
    const [x0, x1] = x.range, [y0, y1] = y.range;
    const sx = x._length / (x1 - x0), sy = y._length / (y1 - y0);
    return (dx, dy) => [x._offset + (dx - x0) * sx, y._offset + (y1 - dy) * sy];
  }

  /** The pane under a pixel and the data coordinates there, or null; `unit` is one pixel's worth. */
  at(px, py) {
    for (const i of this.drawn) {
      const { left, top, width, height } = this.box(i);
      if (px < left || px > left + width || py < top || py > top + height) continue;
      return this.within(i, px, py);
    }
    return null;
  }

  within(i, px, py) {
    const [x, y] = this.axes(i);
    return {
      pane: i,
      x: x.p2d(px - x._offset),
      y: y.p2d(py - y._offset),
      unit: Math.abs(x.range[1] - x.range[0]) / x._length,
    };
  }

  /** Lay a picture under the points of the first pane: {source, x, y, sizex, sizey} or null. */
  background(image) {
    this.image = image && {
      ...image, xref: "x", yref: "y", sizing: "stretch", layer: "below", xanchor: "left",
      yanchor: "top",
    };
    if (!this.drawn.includes(0)) return null;
    const points = this.root.data.flatMap(({ xaxis }, at) => (xaxis === "x" ? [at] : []));
    return this.plotly.update(this.root, { "marker.opacity": this.opacity(0) },
      { images: this.image ? [this.image] : [] }, points);
  }

  close() {
    this.plotly?.purge(this.root);
  }
}

/** What the names of a pane's axes end in. */
function suffix(i) {
  return i ? String(i + 1) : "";
}
