// What is selected: thumbnails of originals and reconstructions, the classes, the mean error.

import { element, fill, inkOn, inUnits, writeImage } from "./dom.js";

const THUMBNAILS = 48;
const CHARACTERS = 32; // that are written from end to end of the bar of classes
const ORDERS = {
  worst: ["worst first", (error) => (a, b) => error[b] - error[a]],
  best: ["best first", (error) => (a, b) => error[a] - error[b]],
  number: ["by number", () => (a, b) => a - b],
};

export class SelectionPanel {
  constructor(maps) {
    this.maps = maps;
    this.root = element("section", "loupe-picked");
    this.members = [];
    this.frames = []; // buttons with a canvas for thumbnails, which are used again: new ones are slow
    this.order = "worst";
    this.first = 0;
  }

  fillHint() {
    this.root.replaceChildren(
      element("h4", "", "Selection"),
      element("p", "", "Draw around samples with Lasso or Box, or find a label."),
      ...this.movers(), this.byCoordinates(),
    );
    delete this.root.dataset.count;
  }

  /** Show the samples of these numbers, or without any how to select some. */
  show(members) {
    this.members = members;
    this.first = 0;
    if (!members.length) return this.fillHint();
    this.fillSelection();
  }

  fillSelection() {
    const { maps, members } = this;
    const share = (100 * members.length) / maps.n;
    const clear = element("button", "", "Clear");
    clear.onclick = () => maps.selection.select(null);
    const order = fill(element("select"), Object.entries(ORDERS).map(([k, [t]]) => [k, t]), this.order);
    order.onchange = () => {
      this.order = order.value;
      this.first = 0;
      this.fillSelection();
    };
    const turn = (text, by) => {
      const button = element("button", "", text);
      button.disabled = this.first + by < 0 || this.first + by >= members.length;
      button.onclick = () => {
        this.first += by;
        this.fillSelection();
      };
      return button;
    };
    order.setAttribute("aria-label", "Order of the thumbnails");
    const earlier = turn("‹", -THUMBNAILS), later = turn("›", THUMBNAILS);
    earlier.setAttribute("aria-label", "Earlier thumbnails");
    later.setAttribute("aria-label", "Later thumbnails");
    this.root.replaceChildren(
      element("h4", "", `${members.length.toLocaleString("en")} of ${maps.n.toLocaleString("en")} ` +
        `samples selected (${share < 1 ? share.toPrecision(1) : Math.round(share)} %)`),
      this.classes(), element("small", "", this.errors()),
      element("div", "loupe-row", ...this.downloads(), clear),
      element("div", "loupe-row", order, earlier, later),
      ...this.thumbnails(), ...this.movers(), this.byCoordinates());
    this.root.dataset.count = members.length;
  }

  /** Buttons for the files that the host can write of the selected samples. */
  downloads() {
    const { host } = this.maps;
    return (host.files ?? []).map((kind) => {
      const button = element("button", "", kind);
      button.title = `${kind} file of the selected samples: ids, labels, metadata, codes, maps, errors`;
      button.onclick = () => host.download(kind);
      return button;
    });
  }

  /** Scroll so that the selection is seen, within the inspector alone. */
  reveal() {
    const { inspector } = this.maps;
    const bottom = this.root.offsetTop + Math.min(this.root.offsetHeight, 260);
    if (bottom > inspector.scrollTop + inspector.clientHeight) {
      inspector.scrollTop = bottom - inspector.clientHeight;
    }
  }

  errors() {
    const error = this.maps.arrays["column/error"]?.values;
    if (!error) return "";
    const mean = (members) => members.reduce((sum, i) => sum + error[i], 0) / members.length;
    const all = Array.from(error.keys());
    return `mean error ${mean(this.members).toFixed(4)}, of all ${mean(all).toFixed(4)}`;
  }

  /** A bar that says which classes are selected. */
  classes() {
    const { maps, members } = this;
    const { label_names, columns } = maps.facts;
    const bar = element("div", "loupe-classes");
    if (!label_names.length) return bar;
    const { colors } = columns.find(({ key }) => key === "label");
    const labels = maps.arrays["column/label"].values;
    const counts = label_names.map(() => 0);
    members.forEach((i) => counts[labels[i]]++);
    counts.map((count, label) => [count, label]).filter(([count]) => count).sort((a, b) => b[0] - a[0])
      .forEach(([count, label]) => {
        const share = Math.round((100 * count) / members.length);
        const name = label_names[label];
        const room = (CHARACTERS * count) / members.length - 1;
        const text = [`${name} ${share} %`, name].find(({ length }) => length <= room) ?? "";
        const part = element("span", "", text);
        part.title = `${name}: ${count.toLocaleString("en")} samples, ${share} %`;
        part.style.flexGrow = count;
        part.style.background = colors[label];
        part.style.color = inkOn(colors[label]);
        bar.append(part);
      });
    return bar;
  }

  /** The selected samples that are shown now, in the order that is asked for. */
  page() {
    const error = this.maps.arrays["column/error"]?.values;
    const sorted = [...this.members];
    if (error || this.order === "number") sorted.sort(ORDERS[this.order][1](error));
    return sorted.slice(this.first, this.first + THUMBNAILS);
  }

  thumbnails() {
    const { maps } = this;
    const { shape } = maps.facts;
    const page = this.page();
    const caption = `${this.first + 1} to ${this.first + page.length} of them` +
      (shape && maps.card.decoder ? ": originals, and reconstructions below each." : ".");
    if (!shape) return [this.table(page), element("small", "", caption)];
    const missing = page.map((i) => maps.rows[i]).filter((row) => !maps.sheets.pixels(row));
    if (missing.length) {
      const splits = new Set(missing.map((row) => (row < maps.facts.n_test ? "test" : "train")));
      const coming = [...splits].map((split) => maps.sheets.load(split)).filter(Boolean);
      const { members } = this;
      Promise.all(coming).then(() => {
        if (coming.length && this.members === members) this.fillSelection();
      });
      if (!coming.length) {
        return [element("small", "", "The images are not on this machine: the dataset is missing.")];
      }
    }
    const figures = page.map((i, at) => this.thumbnail(i, at, shape));
    return [element("div", "loupe-thumbnails", ...figures), element("small", "", caption)];
  }

  /** The thumbnail of a sample, in the frame at a place of the page. */
  thumbnail(i, at, shape) {
    const { maps } = this;
    const [height, width] = shape;
    const reconstruction = maps.card.reconstruct(i);
    const button = (this.frames[at] ??= element("button", "", element("canvas")));
    const canvas = button.firstChild;
    const tall = reconstruction ? 2 * height + 1 : height;
    if (canvas.width !== width || canvas.height !== tall) {
      Object.assign(canvas, { width, height: tall });
    }
    const draw = canvas.getContext("2d");
    const pixels = draw.createImageData(width, tall);
    const original = maps.sheets.pixels(maps.rows[i]);
    if (original) writeImage(pixels, 0, 0, original.source, original.offset, shape);
    if (reconstruction) writeImage(pixels, 0, height + 1, reconstruction, 0, shape);
    draw.putImageData(pixels, 0, 0);
    button.title = `${maps.name(i)}, label ${maps.labelOf(i)}`;
    button.setAttribute("aria-label", button.title);
    button.onclick = () => maps.highlight(i);
    return button;
  }

  table(page) {
    const { maps } = this;
    const features = maps.arrays.features;
    const columns = (i) => (features ? inUnits(maps.facts, features.values, i * features.shape[1]) : []);
    const head = ["sample", "label", ...columns(page[0]).map(([name]) => name)];
    const rows = page.map((i) => {
      const cells = [maps.name(i), maps.labelOf(i), ...columns(i).map(([, text]) => text)];
      return element("tr", "", ...cells.map((cell) => element("td", "", cell)));
    });
    const top = element("tr", "", ...head.map((name) => element("th", "", name)));
    return element("div", "loupe-table", element("table", "", top, ...rows));
  }

  /** The same as a box with the pointer, for the keyboard. */
  byCoordinates() {
    const { maps } = this;
    const pane = fill(element("select"), maps.facts.panes.map(({ key, title }) => [key, title]),
      maps.facts.panes[0].key);
    pane.setAttribute("aria-label", "Pane");
    const inputs = ["x from", "x to", "y from", "y to"].map((name) => {
      const input = element("input");
      Object.assign(input, { type: "number", step: "any", placeholder: name });
      input.setAttribute("aria-label", name);
      input.onkeydown = (event) => event.stopPropagation();
      return input;
    });
    const go = element("button", "", "Select");
    go.onclick = () => {
      const box = inputs.map(({ value }, i) => (value === "" ? [-1, 1][i % 2] * Infinity : Number(value)));
      maps.selection.select({ pane: pane.value, box });
    };
    return element("details", "", element("summary", "", "Select by coordinates"),
      element("div", "loupe-row", pane, ...inputs, go));
  }

  /** A button that selects the samples that moved most between this and the first other run. */
  movers() {
    const { maps } = this;
    if (!maps.arrays["column/moved"]) return [];
    const button = element("button", "", `The ${THUMBNAILS} biggest movers`);
    button.title = `On to ${maps.facts.others[0].title}`;
    button.onclick = () => maps.selection.select({ movers: THUMBNAILS });
    return [button];
  }
}
