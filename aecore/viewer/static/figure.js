// The panes: one Plotly figure with a subplot for each, because a browser has few WebGL contexts.

const STRIP = 44; // above each pane, for its title and its measures
const GAP = 14;

let loading = null;

/** Plotly, from the file that the installed package ships. */
function plotly() {
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
   * @param changed called whenever an axis has moved
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
  }

  /** How many panes stand side by side, and the height of one, for this width. */
  shape(count, width) {
    const columns = Math.min(count, width < 520 ? 1 : count > 4 && width > 1000 ? 3 : 2);
    const paneWidth = (width - GAP * (columns - 1)) / columns;
    const height = Math.round(Math.min(Math.max(paneWidth * 0.68, 220), 440));
    return { columns, paneWidth, height, rows: Math.ceil(count / columns) };
  }

  /** Where pane number i lies, in pixels. */
  box(i) {
    const { columns, paneWidth, height } = this.size;
    return {
      left: (i % columns) * (paneWidth + GAP),
      top: Math.floor(i / columns) * (height + STRIP) + STRIP,
      width: paneWidth,
      height,
    };
  }

  /**
   * Draw every pane.
   *
   * @param panes points (n, 2) of each
   * @param groups {members, color} for each colour: the numbers of the samples that have it
   */
  async draw(panes, groups, image = null) {
    this.panes = panes;
    this.groups = groups;
    this.image = image;
    this.plotly = await plotly();
    const width = this.root.clientWidth;
    if (!width) return; // hidden: drawn when it gets a size
    this.size = this.shape(panes.length, width);
    const { rows, height } = this.size;
    this.height = rows * (height + STRIP);
    const size = Math.min(Math.max(120 / Math.sqrt(panes[0].length / 2), 2.5), 6);
    const traces = [];
    // Plotly leaves out the axes of a pane without a trace.
    const drawn = groups.length ? groups : [{ members: [], color: "grey" }];
    panes.forEach((points, i) => {
      const name = i ? String(i + 1) : "";
      for (const { members, color } of drawn) {
        const x = new Float32Array(members.length), y = new Float32Array(members.length);
        members.forEach((member, at) => {
          x[at] = points[2 * member];
          y[at] = points[2 * member + 1];
        });
        traces.push({
          type: "scattergl", mode: "markers", x, y, xaxis: `x${name}`, yaxis: `y${name}`,
          marker: { size, color, opacity: 0.8 },
        });
      }
    });
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: "reset" };
    await this.plotly.react(this.root, traces, this.layout(width), config);
    if (!this.listening) {
      for (const event of ["plotly_relayout", "plotly_relayouting"]) {
        this.root.on(event, this.changed);
      }
      this.listening = true;
    }
    this.changed();
  }

  layout(width) {
    const axis = {
      showticklabels: false, ticks: "", zeroline: false, showgrid: false, showline: true,
      mirror: true, linecolor: "rgba(128,138,148,0.4)", automargin: false,
    };
    const layout = {
      width, height: this.height, margin: { l: 1, r: 1, t: 1, b: 1 }, showlegend: false,
      hovermode: false, dragmode: "pan", paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", uirevision: this.panes.length,
      images: this.image ? [this.image] : [],
    };
    this.panes.forEach((points, i) => {
      const name = i ? String(i + 1) : "";
      const { left, top, width: w, height: h } = this.box(i);
      const x = [left / width, (left + w) / width];
      const y = [1 - (top + h) / this.height, 1 - top / this.height];
      layout[`xaxis${name}`] = { ...axis, domain: x, anchor: `y${name}` };
      layout[`yaxis${name}`] = { ...axis, domain: y, anchor: `x${name}`, scaleanchor: `x${name}` };
    });
    return layout;
  }

  axes(i) {
    const name = i ? String(i + 1) : "";
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
    for (let i = 0; i < this.panes.length; i++) {
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

  /** Show the whole of every pane again. */
  reset() {
    const ranges = {};
    this.panes.forEach((_, i) => {
      const name = i ? String(i + 1) : "";
      ranges[`xaxis${name}.autorange`] = true;
      ranges[`yaxis${name}.autorange`] = true;
    });
    return this.plotly.relayout(this.root, ranges);
  }

  /** Lay a picture under the points of the first pane: {source, x, y, sizex, sizey} or null. */
  background(image) {
    this.image = image && {
      ...image, xref: "x", yref: "y", sizing: "stretch", layer: "below", xanchor: "left",
      yanchor: "top",
    };
    return this.plotly.relayout(this.root, { images: this.image ? [this.image] : [] });
  }

  close() {
    this.plotly?.purge(this.root);
  }
}
