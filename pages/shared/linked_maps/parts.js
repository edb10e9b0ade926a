// Small things that several parts of the maps use.

import { paint, sheet } from "./arrays.js";

export function element(kind, name = "", ...children) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (kind === "button") made.type = "button";
  made.append(...children);
  return made;
}

/** A select box with these [value, title] options. */
export function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, title]) => new Option(title, value)));
  select.value = chosen;
  return select;
}

/** An object that keeps its values for this tab, over changes of page and reloads. */
export function remembered(key, defaults) {
  const stored = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  return new Proxy({ ...defaults, ...stored }, {
    set(values, name, value) {
      values[name] = value;
      sessionStorage.setItem(key, JSON.stringify(values));
      return true;
    },
  });
}

const fetched = new Map();

/** The images of all samples: a sheet for each split, fetched when it is first asked for. */
export class Sheets {
  constructor({ sheets, shape, n_test }, arrived) {
    this.urls = sheets;
    this.size = shape ? shape.reduce((product, side) => product * side, 1) : 0;
    this.n_test = n_test;
    this.arrived = arrived;
  }

  /** The pixels of a row, {source, offset}, or null while they are on their way or missing. */
  pixels(row) {
    const [split, number] = row < this.n_test ? ["test", row] : ["train", row - this.n_test];
    const source = this.of(split);
    return source instanceof Uint8Array ? { source, offset: number * this.size } : null;
  }

  of(split) {
    const url = this.urls[split] && new URL(this.urls[split], document.baseURI).href;
    if (!url) return null;
    if (!fetched.has(url)) {
      fetched.set(url, sheet(url).then(
        (bytes) => fetched.set(url, bytes),
        () => fetched.delete(url), // asked for again the next time
      ).then(() => this.arrived()));
    }
    return fetched.get(url);
  }
}

/** One sample as a picture, or as a list of its features. */
export class Display {
  constructor(caption) {
    this.canvas = element("canvas");
    this.list = element("dl");
    this.caption = element("figcaption", "", caption);
    this.root = element("figure", "", this.canvas, this.list, this.caption);
  }

  /** Make it fit for images of this shape, or for features with these names. */
  fit({ shape, features }) {
    this.shape = shape;
    this.features = features;
    this.canvas.hidden = !shape;
    this.list.hidden = Boolean(shape);
    if (shape) {
      [this.canvas.height, this.canvas.width] = shape;
      this.pixels = this.canvas.getContext("2d").createImageData(shape[1], shape[0]);
    }
    this.clear();
  }

  clear() {
    if (this.shape) this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    else this.list.replaceChildren();
  }

  draw(source, offset = 0) {
    if (this.shape) {
      paint(this.pixels, 0, 0, source, offset, this.shape);
      this.canvas.getContext("2d").putImageData(this.pixels, 0, 0);
      return;
    }
    const most = 12;
    const lines = this.features.slice(0, most).flatMap((name, j) => [
      element("dt", "", name), element("dd", "", source[offset + j].toFixed(2)),
    ]);
    if (this.features.length > most) {
      lines.push(element("dt", "", `and ${this.features.length - most} more`));
    }
    this.list.replaceChildren(...lines);
  }
}
