// Linked maps: panes over one index of samples. What is said to the server are selections, or what is
// picked where that is asked for, and places to decode where the decoder is too large to be sent;
// everything else happens here.

import { unpack } from "./arrays.js";
import { Card } from "./card.js";
import { Figure } from "./figure.js";
import { Cells, inside } from "./geometry.js";
import { Motion } from "./motion.js";
import { cross, ellipse, heat, Overlay, plate, ring, squares } from "./overlay.js";
import { Picked } from "./picked.js";
import { element, fill, remembered, Sheets } from "./parts.js";

const REACH = 14; // pixels around the pointer in which a sample is found
const TOGETHER = 5000; // milliseconds in which picks are told together
const NAMED = 12; // marked samples that are told apart by their numbers
const BACKGROUNDS = {
  density: { title: "density of training codes", color: [11, 110, 153] },
  cycle_error: { title: "cycle error ‖E(D(z)) − z‖", color: [214, 96, 16] },
  sensitivity: { title: "decoder sensitivity ‖dD/dz‖", color: [131, 45, 182] },
};
const TOOLS = {
  pick: ["Pick", "Click a sample to put its number into the field, or to take it out again"],
  explore: ["Explore", "Point to see samples; click or drag in the bottleneck to decode"],
  move: ["Move", "Drag to move the view"],
  lasso: ["Lasso", "Draw around samples to select them"],
  box: ["Box", "Draw a box around samples to select them"],
};

class LinkedMaps {
  constructor(root) {
    this.root = root;
    this.sample = null; // the number of the sample that is lit up in every pane
    this.place = null; // where the bottleneck is decoded
    this.polygon = null; // being drawn: {pane, points}
    this.mask = null; // which samples are selected
    this.picks = []; // what was last picked
    this.build();
    this.figure = new Figure(this.plot, () => this.paint());
    this.overlay = new Overlay(this.canvas, this.figure);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.plot);
    this.themes = new MutationObserver(() => this.paint());
    this.themes.observe(document.documentElement, { attributes: true, subtree: false });
    this.marked = () => this.paint();
    window.addEventListener("loupe-marks", this.marked);
  }

  build() {
    this.bar = element("div", "loupe-bar");
    this.plot = element("div", "loupe-plot");
    this.canvas = element("canvas", "loupe-overlay");
    this.canvas.setAttribute("aria-hidden", "true");
    this.titles = element("div", "loupe-titles");
    this.legend = element("div", "loupe-legend");
    this.card = new Card(this);
    this.motion = new Motion(this);
    this.picked = new Picked(this);
    const figure = element("div", "loupe-figure", this.plot, this.canvas, this.titles);
    this.root.replaceChildren(
      this.bar, this.legend, element("div", "loupe-body", figure, this.card.root),
      this.motion.root, this.picked.root,
    );
    for (const [event, handler] of Object.entries({
      pointermove: this.moved, pointerdown: this.pressed, pointerup: this.released,
      pointercancel: this.released, wheel: this.wheeled,
    })) {
      // In the capture phase, so that Plotly sees only the gestures that are left to it.
      this.plot.addEventListener(event, handler.bind(this), { capture: true, passive: false });
    }
  }

  // --- What is shown ---

  async show(bytes, say) {
    const { arrays, facts } = unpack(bytes);
    // What is picked is an event, which nobody takes back.
    this.say = facts.mode === "pick" ? say : (name, value) => {
      const { [name]: before, ...said } = this.ui.said;
      this.ui.said = value === null ? said : { ...said, [name]: true };
      say(name, value);
    };
    if (facts.id === this.facts?.id) return;
    const same = facts.samples === this.facts?.samples;
    // By the mode, because Streamlit gives the element another key whenever it is mounted.
    if (facts.mode !== this.facts?.mode) this.ui = remembered(`loupe-${facts.mode}`, {
      tool: facts.mode === "pick" ? "pick" : "explore", column: null, hidden: {}, background: "",
      centroids: true, ellipses: false, prior: false, said: {},
    });
    // A lasso of long ago is not expected by who comes to pick.
    if (facts.mode === "pick" && facts.mode !== this.facts?.mode) this.ui.tool = "pick";
    this.facts = facts;
    this.arrays = arrays;
    this.rows = arrays.rows.values;
    this.n = this.rows.length;
    this.panes = facts.panes.map(({ key }) => arrays[`pane/${key}`].values);
    this.cells = this.panes.map(() => null);
    if (!same) {
      // What the server was told, perhaps by a component before this one, was of other samples.
      for (const name of Object.keys(this.ui.said)) this.say(name, null);
      [this.sample, this.place, this.mask, this.picks] = [null, null, null, []];
    }
    this.figure.image = null;
    this.sheets = new Sheets(facts, () => this.paint());
    if (!facts.columns.some(({ key }) => key === this.ui.column)) this.ui.column = null;
    this.ui.column ??= facts.columns[0].key;
    if (!facts.backgrounds.includes(this.ui.background)) this.ui.background = "";
    this.root.dataset.mode = facts.mode;
    this.root.setAttribute("aria-label", facts.alt);
    this.fillBar();
    this.card.show();
    this.motion.show();
    await this.recolor();
    // By another decoder, or with other panes to choose from.
    this.mask ? this.picked.show(this.members) : this.picked.clear();
    if (this.ui.background) await this.setBackground();
    this.root.dataset.ready = facts.id;
  }

  /** Sort the samples into groups of one colour each, and draw them. */
  async recolor() {
    const column = this.facts.columns.find(({ key }) => key === this.ui.column);
    const values = this.arrays[`column/${column.key}`].values;
    const { groups, groupOf } = grouped(values, column, this.facts);
    this.column = column;
    this.groups = groups;
    this.groupOf = groupOf;
    this.fillLegend();
    await this.redraw();
  }

  async redraw() {
    const hidden = this.hidden();
    this.shown = this.groups.map((group, i) => !hidden.has(i));
    const drawn = this.groups.filter((_, i) => this.shown[i]);
    await this.figure.draw(this.panes, drawn, this.figure.image);
    this.fillTitles();
  }

  visible(i) {
    return this.shown[this.groupOf[i]];
  }

  color(i) {
    return this.groups[this.groupOf[i]].color;
  }

  name(i) {
    const { n_test } = this.facts;
    const row = this.rows[i];
    return row < n_test ? `test #${row}` : `train #${row - n_test}`;
  }

  labelOf(i) {
    const { label_names } = this.facts;
    const label = this.arrays["column/label"].values[i];
    return label_names.length ? label_names[label] : label.toPrecision(3);
  }

  resize() {
    if (!this.facts || this.plot.clientWidth === this.width) return;
    this.width = this.plot.clientWidth;
    if (this.groups) this.redraw();
  }

  // --- The bar and the legend ---

  fillBar() {
    const { facts, ui } = this;
    const picks = facts.mode === "pick";
    const own = Object.entries(TOOLS).filter(([tool]) => tool !== (picks ? "explore" : "pick"));
    const tools = own.map(([tool, [title, hint]]) => {
      const button = element("button", "", title);
      button.title = hint;
      button.setAttribute("aria-pressed", ui.tool === tool);
      button.onclick = () => {
        this.ui.tool = tool;
        for (const other of button.parentElement.children) {
          other.setAttribute("aria-pressed", other === button);
        }
        this.plot.dataset.tool = tool;
      };
      return button;
    });
    this.plot.dataset.tool = ui.tool;
    const colors = fill(element("select"), facts.columns.map((c) => [c.key, c.title]), ui.column);
    colors.onchange = () => {
      ui.column = colors.value;
      this.recolor();
    };
    const options = facts.backgrounds.map((key) => [key, BACKGROUNDS[key].title]);
    const backgrounds = fill(element("select"), [["", "nothing"], ...options], ui.background);
    backgrounds.onchange = () => {
      ui.background = backgrounds.value;
      this.setBackground();
    };
    const find = element("input");
    Object.assign(find, { type: "search", placeholder: "#38, or a label", size: 12 });
    find.onkeydown = (event) => {
      if (event.key === "Enter") this.find(find.value);
      event.stopPropagation(); // the page has shortcuts of its own
    };
    this.said = element("span", "loupe-said");
    this.said.setAttribute("role", "status");
    const whole = element("button", "", "Whole view");
    whole.onclick = () => this.figure.reset();
    const overlays = [
      ["centroids", "Centroids", facts.label_names.length > 0],
      ["ellipses", "Posteriors", "spread" in this.arrays],
      ["prior", "Prior", facts.prior],
    ].filter(([, , possible]) => possible).map(([name, title]) => {
      const box = element("input");
      box.type = "checkbox";
      box.checked = ui[name];
      box.onchange = () => {
        ui[name] = box.checked;
        this.paint();
      };
      return element("label", "loupe-check", box, title);
    });
    this.bar.replaceChildren(
      element("div", "loupe-tools", ...tools),
      element("label", "", "Colour by", colors),
      ...(options.length ? [element("label", "", picks ? "Behind" : "Behind the code", backgrounds)] : []),
      ...(picks ? [] : [...overlays, element("label", "", "Find", find)]),
      whole,
      this.said,
    );
  }

  /** Groups of another dataset or column are others. */
  legendKey() {
    return `${this.facts.dataset}/${this.column.key}`;
  }

  /** The numbers of the groups that the legend hides. */
  hidden() {
    return new Set(this.ui.hidden[this.legendKey()] ?? []);
  }

  fillLegend() {
    const chips = this.groups.map(({ title, color, members }, i) => {
      const chip = element("button", "loupe-chip", element("i", ""), title);
      chip.firstChild.style.background = color;
      chip.title = `${members.length.toLocaleString("en")} samples. Click to hide or show, ` +
        "double-click to show only these";
      chip.setAttribute("aria-pressed", !this.hidden().has(i));
      chip.onclick = (event) => {
        if (event.detail > 1) return; // the second of a double click
        const hidden = this.hidden();
        hidden.has(i) ? hidden.delete(i) : hidden.add(i);
        this.hide(hidden);
      };
      chip.ondblclick = () => {
        const others = this.groups.map((_, j) => j).filter((j) => j !== i);
        const alone = others.every((j) => this.hidden().has(j));
        this.hide(new Set(alone ? [] : others));
      };
      return chip;
    });
    this.legend.replaceChildren(element("span", "", this.column.title), ...chips);
  }

  hide(hidden) {
    this.ui.hidden = { ...this.ui.hidden, [this.legendKey()]: [...hidden] };
    [...this.legend.querySelectorAll(".loupe-chip")].forEach((chip, i) => {
      chip.setAttribute("aria-pressed", !hidden.has(i));
    });
    this.redraw();
  }

  fillTitles() {
    if (!this.figure.size) return;
    this.titles.replaceChildren(...this.facts.panes.map(({ title, note }, i) => {
      const { left, top, width } = this.figure.box(i);
      const head = element("div", "", element("b", "", title), element("small", "", note));
      head.title = note;
      Object.assign(head.style, {
        left: `${left}px`, top: `${top - 42}px`, width: `${width}px`,
      });
      return head;
    }));
  }

  setBackground() {
    const { background } = this.ui;
    if (!background) return this.figure.background(null);
    const { values, shape } = this.arrays[`grid/${background}`];
    const { color, title } = BACKGROUNDS[background];
    const { source, low, high } = heat(values, ...shape, color);
    const [x, y] = ["x", "y"].map((axis) => this.arrays[`grid/${axis}`].values);
    this.tell(`Behind the code: ${title}, from ${number(low)} (clear) to ${number(high)} (full)`);
    const [x0, x1, y0, y1] = [x[0], x[x.length - 1], y[0], y[y.length - 1]];
    const step = [(x1 - x0) / (x.length - 1), (y1 - y0) / (y.length - 1)];
    return this.figure.background({
      source, x: x0 - step[0] / 2, y: y1 + step[1] / 2, sizex: x1 - x0 + step[0],
      sizey: y1 - y0 + step[1],
    });
  }

  tell(text) {
    this.said.textContent = text;
  }

  find(asked) {
    const text = asked.trim().toLowerCase();
    const label = this.facts.label_names.findIndex((name) => name.toLowerCase() === text);
    const [, split, digits] = text.match(/^(?:(test|train)\s*)?#?(\d+)$/) ?? [];
    const row = Number(digits) + (split === "train" ? this.facts.n_test : 0);
    // A number is a sample's if it says so, and a label's where there is such a label.
    if (label >= 0 && !text.includes("#")) {
      const labels = this.arrays["column/label"].values;
      this.select((i) => labels[i] === label && this.visible(i));
      this.tell(`Selected: label ${this.facts.label_names[label]}`);
      return;
    }
    const found = digits === undefined ? -1 : this.rows.indexOf(row);
    if (found < 0) {
      const example = this.facts.label_names[0] ? ` or ${this.facts.label_names[0]}` : "";
      this.tell(`No sample here is called “${asked}”: try #${this.rows[0]}${example}`);
      return;
    }
    this.tell(`Found ${this.name(found)}`);
    this.light(found);
  }

  // --- Gestures ---

  pointer(event) {
    const { left, top } = this.plot.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  moved(event) {
    if (!this.figure.size) return;
    const [px, py] = this.pointer(event);
    if (this.decoding) {
      event.stopPropagation();
      const { x, y } = this.figure.within(0, px, py);
      this.decodeSoon([x, y]);
    } else if (this.polygon) {
      event.stopPropagation();
      const { x, y } = this.figure.within(this.polygon.pane, px, py);
      const { points } = this.polygon;
      if (this.ui.tool === "lasso") points.push([x, y]);
      else {
        const [x0, y0] = points[0];
        points.splice(1, 3, [x, y0], [x, y], [x0, y]);
      }
      this.paintSoon();
    } else if (!event.buttons) {
      const at = this.figure.at(px, py);
      if (!at) return;
      const found = this.nearest(at);
      if (found >= 0 && found !== this.sample) this.light(found);
    }
  }

  nearest({ pane, x, y, unit }) {
    this.cells[pane] ??= new Cells(this.panes[pane]);
    return this.cells[pane].nearest(x, y, REACH * unit, (i) => this.visible(i));
  }

  pressed(event) {
    const at = event.button === 0 && this.figure.size && this.figure.at(...this.pointer(event));
    if (!at) return;
    const { tool } = this.ui;
    const decodes = tool === "explore" && at.pane === 0 && this.facts.decodes;
    if (!decodes && !["pick", "lasso", "box"].includes(tool)) return;
    event.stopPropagation();
    event.preventDefault();
    this.plot.setPointerCapture(event.pointerId);
    if (decodes) {
      this.decoding = true;
      this.decodeSoon([at.x, at.y]);
    } else if (tool === "pick") {
      this.pressedAt = at;
    } else {
      this.polygon = { pane: at.pane, points: [[at.x, at.y]] };
    }
  }

  released(event) {
    if (this.decoding) {
      event.stopPropagation();
      this.decoding = false;
      this.card.settled();
    } else if (this.pressedAt) {
      event.stopPropagation();
      const { pressedAt: at } = this;
      this.pressedAt = null;
      const { x, y } = this.figure.within(at.pane, ...this.pointer(event));
      const moved = Math.hypot(x - at.x, y - at.y) > REACH * at.unit;
      // A finger that scrolls the page ends in a cancel.
      if (event.type === "pointerup" && !moved) this.pick(this.nearest(at));
    } else if (this.polygon) {
      event.stopPropagation();
      const { pane, points } = this.polygon;
      this.polygon = null;
      if (points.length > 2) this.selectWithin(pane, points);
      else if (this.facts.mode === "pick") this.pick(this.nearest(this.figure.at(...this.pointer(event))));
      else this.select(null);
    }
  }

  wheeled(event) {
    // The page scrolls as everywhere; with Ctrl or Cmd, or in the tool for it, the wheel zooms.
    if (event.ctrlKey || event.metaKey || this.ui.tool === "move") {
      if (event.ctrlKey) event.preventDefault();
    } else event.stopPropagation();
  }

  /** Show a sample in the card and light it up in every pane. */
  light(i) {
    this.sample = i;
    this.card.sample(i);
    this.paint();
  }

  /** Tell that a sample was clicked. */
  pick(i) {
    if (i < 0) return this.tell("No sample here: click on one");
    this.light(i); // a finger does not point before it clicks
    this.tell(`Clicked ${this.name(i)}`);
    this.tellPicked({ sample: this.rows[i] });
  }

  /** Tell one sample, or the mask of some, as an event: the same may be picked again. */
  tellPicked(what) {
    const when = performance.now();
    // Of what is told while the server is busy it hears only the last, so the last few go together.
    const recent = this.picks.filter((pick) => when - pick.when < TOGETHER);
    this.picks = [...recent, { ...what, when }];
    this.say("picked", this.picks);
  }

  decodeSoon(place) {
    this.place = place;
    this.decodingSoon ??= requestAnimationFrame(() => {
      this.decodingSoon = null;
      this.card.decode(this.place);
      this.paint();
    });
  }

  selectWithin(pane, polygon) {
    const points = this.panes[pane];
    this.select((i) => this.visible(i) && inside(points[2 * i], points[2 * i + 1], polygon));
  }

  /** Select the samples that a condition takes; null for none. */
  select(takes) {
    const mask = new Uint8Array(this.n);
    const members = [];
    if (takes) {
      for (let i = 0; i < this.n; i++) {
        if (takes(i)) {
          mask[i] = 1;
          members.push(i);
        }
      }
    }
    const { samples, mode } = this.facts;
    if (mode === "pick") {
      this.paint(); // they are marked when the server has taken them
      this.tell(`${members.length.toLocaleString("en")} samples selected`);
      if (members.length) this.tellPicked({ samples, mask: packed(mask) });
      return;
    }
    this.mask = members.length ? mask : null;
    this.members = members;
    this.paint();
    this.picked.show(members);
    this.say("selection", members.length ? { samples, mask: packed(mask) } : null);
  }

  // --- Drawing what moves ---

  paintSoon() {
    this.painting ??= requestAnimationFrame(() => {
      this.painting = null;
      this.paint();
    });
  }

  paint() {
    if (this.figure.panes !== this.panes) return; // the figure still shows what was there before
    const draw = this.groups && this.overlay.begin();
    if (!draw) return;
    const style = getComputedStyle(this.root);
    const ink = style.getPropertyValue("--st-text-color") || style.color;
    const ground = style.getPropertyValue("--st-background-color") || "white";
    const accent = style.getPropertyValue("--st-primary-color") || ink;
    const moving = this.motion.points();
    this.plot.classList.toggle("dimmed", Boolean(this.mask));
    this.plot.classList.toggle("moving", Boolean(moving) && this.panes.length === 1);
    this.panes.forEach((points, pane) => this.overlay.inPane(draw, pane, (toPixels) => {
      if (pane === 0 && moving) {
        const { left, top, width, height } = this.figure.box(0);
        draw.fillStyle = ground;
        draw.globalAlpha = 0.82;
        draw.fillRect(left, top, width, height);
        draw.globalAlpha = 1;
        const side = moving.members.length > 3000 ? 2.5 : 4;
        squares(draw, toPixels, moving.points, moving.members, moving.color, side);
      } else if (this.mask) {
        const side = this.members.length > 2000 ? 3 : 5;
        const chosen = this.members.filter((i) => this.visible(i));
        squares(draw, toPixels, points, chosen, (i) => this.color(i), side);
      }
      if (pane === 0 && !moving) this.paintPrior(draw, toPixels, ink);
      const named = this.ui.centroids && this.facts.label_names.length;
      if (named && !(pane === 0 && moving)) this.paintCentroids(draw, toPixels, pane);
      if (this.facts.mode === "pick") this.paintMarks(draw, toPixels, points, accent, ground);
      if (this.sample !== null) {
        const at = toPixels(points[2 * this.sample], points[2 * this.sample + 1]);
        ring(draw, at, ink, ground);
      }
      if (pane === 0 && this.place) cross(draw, toPixels(...this.place), accent, ground);
      if (this.polygon?.pane === pane) this.paintPolygon(draw, toPixels, accent);
    }));
  }

  paintPolygon(draw, toPixels, accent) {
    draw.beginPath();
    for (const point of this.polygon.points) draw.lineTo(...toPixels(...point));
    draw.closePath();
    draw.strokeStyle = accent;
    draw.lineWidth = 1.5;
    draw.stroke();
    draw.globalAlpha = 0.12;
    draw.fillStyle = accent;
    draw.fill();
    draw.globalAlpha = 1;
  }

  /** The samples that the server says are picked. */
  paintMarks(draw, toPixels, points, accent, ground) {
    const marks = window.loupeMarks ?? [];
    for (const row of marks) {
      const i = this.rows.indexOf(row);
      if (i < 0) continue;
      const [x, y] = toPixels(points[2 * i], points[2 * i + 1]);
      ring(draw, [x, y], accent, ground, marks.length > NAMED ? 4 : 6);
      if (marks.length <= NAMED) plate(draw, `#${row}`, [x, y - 18], accent, ground);
    }
  }

  paintPrior(draw, toPixels, ink) {
    draw.lineWidth = 1.2;
    if (this.ui.ellipses && this.arrays.spread) {
      const spread = this.arrays.spread.values, points = this.panes[0];
      const step = Math.max(1, Math.floor(this.n / 150)); // all of them would be a grey cloud
      for (let i = 0; i < this.n; i += step) {
        const [x, y] = [points[2 * i], points[2 * i + 1]];
        if (!this.visible(i) || Number.isNaN(spread[2 * i])) continue;
        ellipse(draw, toPixels, x, y, spread[2 * i], spread[2 * i + 1], this.color(i));
      }
      if (this.sample !== null) {
        const i = this.sample;
        const [x, y] = [points[2 * i], points[2 * i + 1]];
        ellipse(draw, toPixels, x, y, spread[2 * i], spread[2 * i + 1], ink);
      }
    }
    if (this.ui.prior && this.facts.prior) {
      for (const radius of [1, 2, 3]) {
        ellipse(draw, toPixels, 0, 0, radius, radius, ink);
        const [x, y] = toPixels(0, radius);
        plate(draw, `${radius}σ`, [x, y]);
      }
    }
  }

  paintCentroids(draw, toPixels, pane) {
    this.means ??= new WeakMap();
    const points = this.panes[pane];
    if (!this.means.has(points)) this.means.set(points, centroids(points, this.arrays, this.facts));
    const shown = this.column.key === "label" ? this.shown : null;
    this.means.get(points).forEach(({ label, title, x, y }) => {
      const group = shown && this.groups.findIndex((g) => g.value === label);
      if (!shown || this.shown[group]) plate(draw, title, toPixels(x, y));
    });
  }

  close() {
    this.watch.disconnect();
    this.themes.disconnect();
    window.removeEventListener("loupe-marks", this.marked);
    this.motion.stop();
    this.figure.close();
  }
}

/** Samples in groups of one colour: a class each, or ten steps of a number and what has none. */
function grouped(values, { names, colors, digits = 3 }, { ramp, grey }) {
  const groupOf = new Int16Array(values.length);
  let groups;
  if (names) {
    groups = names.map((title, value) => ({ title, value, color: colors[value], members: [] }));
    values.forEach((value, i) => (groupOf[i] = value));
  } else {
    const sorted = Float32Array.from(values.filter((value) => Number.isFinite(value))).sort();
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    const low = at(0.01), step = (at(0.99) - low) / ramp.length || 1;
    groups = ramp.map((color, i) => ({
      title: i ? number(low + i * step, digits) : `below ${number(low + step, digits)}`, color, members: [],
    }));
    values.forEach((value, i) => {
      const place = Math.floor((value - low) / step);
      groupOf[i] = Number.isFinite(value)
        ? Math.min(Math.max(place, 0), ramp.length - 1) : ramp.length;
    });
    groups.push({ title: "not measured", color: grey, members: [] });
  }
  groupOf.forEach((group, i) => groups[group].members.push(i));
  // Groups without members are left out, and the numbers follow.
  const kept = groups.filter(({ members }) => members.length);
  kept.forEach(({ members }, group) => members.forEach((i) => (groupOf[i] = group)));
  return { groups: kept, groupOf };
}

function centroids(points, arrays, { label_names }) {
  const labels = arrays["column/label"].values;
  const sums = label_names.map(() => [0, 0, 0]);
  labels.forEach((label, i) => {
    const sum = sums[label];
    if (!Number.isFinite(points[2 * i])) return;
    sum[0] += points[2 * i];
    sum[1] += points[2 * i + 1];
    sum[2]++;
  });
  return sums.map(([x, y, n], label) => ({ label, title: label_names[label], x: x / n, y: y / n, n }))
    .filter(({ n }) => n);
}

/** A mask as base64 of its bits, the first sample in the highest bit: 1 KB for 8,000 samples. */
function packed(mask) {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((on, i) => (bytes[i >> 3] |= on << (7 - (i & 7))));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function number(value, digits = 3) {
  return Number(value.toPrecision(digits)).toString();
}

const mounted = new WeakMap();

/** Show `data` in the element of a component; returns what takes it away again. */
export function show({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".loupe");
  if (!mounted.has(root)) mounted.set(root, new LinkedMaps(root));
  const maps = mounted.get(root);
  root.loupe = maps; // for measurements
  maps.show(data, setStateValue).catch((error) => {
    console.error(error);
    root.textContent = `The maps could not be drawn: ${error.message}. Reload the page.`;
  });
  return () => {
    maps.close();
    mounted.delete(root);
  };
}
