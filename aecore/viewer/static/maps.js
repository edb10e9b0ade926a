// Linked maps: panes over one index of samples. This is the state that all parts of them share, and
// what draws them anew; each part (toolbar, legend, pointer, ...) has a module of its own and is
// given this object.

import { Address } from "./address.js";
import { backgroundImage } from "./background.js";
import { Card } from "./card.js";
import { element, lineage, remembered } from "./dom.js";
import { Figure } from "./figure.js";
import { groupSamples } from "./groups.js";
import { Legend } from "./legend.js";
import { Motion } from "./motion.js";
import { Painter } from "./painter.js";
import { unpack } from "./payload.js";
import { Pointer } from "./pointer.js";
import { Selection } from "./selection.js";
import { Sheets } from "./sheets.js";
import { Titles } from "./titles.js";
import { Toolbar } from "./toolbar.js";

const NARROW = 820; // pixels of width, below which one pane is shown at a time
const LEAST_HEIGHT = 420; // of the workbench, in a window that is lower still

/**
 * The maps in an element. Set by `show`, for the parts to read:
 *
 * facts, arrays: the payload; rows: the number in the dataset of each of the n samples
 * panes: the points (n, 2) of each pane, the bottleneck first
 * column: what the samples are coloured by; groups, groupOf, bounds: the samples by colour
 * mask: 1 for each sample that the legend shows
 * ui: the reader's choices, remembered for this tab and mode
 * sample: the number of the sample that is highlighted in every pane, or null
 * place: where in the bottleneck is decoded, [x, y] or null
 * marks: the rows that the host has ringed, and its places by the key of a pane
 */
export class LinkedMaps {
  constructor(root, host) {
    this.root = root;
    this.host = host;
    this.sample = null;
    this.place = null;
    this.marks = { rows: [], places: {} };
    this.build();
    this.resizes = new ResizeObserver(() => this.resize());
    this.resizes.observe(this.stage);
    // What stands above the maps may change, too, and with it the height that is left to them.
    for (const each of lineage(this.root)) this.resizes.observe(each);
    this.resized = () => this.resize();
    this.pressed = (event) => this.press(event);
    window.addEventListener("resize", this.resized);
    document.addEventListener("keydown", this.pressed);
    // What came of the last action says nothing of the next; in the capture phase, so before it.
    for (const event of ["pointerdown", "keydown"]) {
      this.root.addEventListener(event, () => this.facts && this.toolbar.setStatus(""), true);
    }
    // A change of theme changes the colour of the text, which the styles let pass for a moment.
    this.root.addEventListener("transitionend", (event) => {
      if (event.target !== this.root || event.propertyName !== "color") return;
      this.motion.describe();
      this.paint();
    });
  }

  build() {
    this.plot = element("div", "loupe-plot");
    this.canvas = element("canvas", "loupe-overlay");
    this.canvas.setAttribute("aria-hidden", "true");
    this.figure = new Figure(this.plot, (rest) => {
      if (rest) this.titles.show();
      this.paint();
    });
    this.address = new Address(this);
    this.titles = new Titles(this);
    this.toolbar = new Toolbar(this);
    this.legend = new Legend(this);
    this.card = new Card(this);
    this.motion = new Motion(this);
    this.selection = new Selection(this);
    this.pointer = new Pointer(this);
    this.painter = new Painter(this);
    this.inspector = element("aside", "loupe-inspector",
      this.card.root, this.selection.panel.root);
    this.handle = element("button", "loupe-handle");
    this.handle.onclick = () => this.openSheet(!this.root.hasAttribute("data-sheet"));
    this.pointers = element("div", "loupe-pointers");
    this.stage = element(
      "div", "loupe-figure", this.plot, this.canvas, this.pointers, this.titles.root);
    const legend = element("div", "loupe-foot", this.legend.root, this.toolbar.status);
    const middle = element("div", "loupe-canvas", this.titles.tabs, this.stage, legend);
    this.root.replaceChildren(
      this.toolbar.root, element("div", "loupe-body", middle, this.inspector), this.motion.root,
      this.handle);
    this.openSheet(false);
  }

  /** Show a payload. The one that is shown already is left as it is. */
  async show(bytes) {
    const { arrays, facts } = unpack(bytes);
    if (facts.id === this.facts?.id) return this.address.soon(); // the page may have written it anew
    const same = facts.samples === this.facts?.samples;
    // By the mode, because a host may mount the same maps in another element every time.
    if (facts.mode !== this.facts?.mode) this.ui = remembered(`loupe-${facts.mode}`, {
      tool: facts.mode === "pick" ? "pick" : "explore", column: null, hidden: {}, background: "",
      centroids: true, ellipses: false, prior: false, alone: null, said: {},
    });
    // A lasso of long ago is not expected by who comes to pick.
    if (facts.mode === "pick" && facts.mode !== this.facts?.mode) this.ui.tool = "pick";
    this.facts = facts;
    this.arrays = arrays;
    this.rows = arrays.rows.values;
    this.n = this.rows.length;
    this.panes = facts.panes.map(({ key }) => arrays[`pane/${key}`].values);
    if (!same) {
      // What the host was told, perhaps by maps before these, was of other samples.
      for (const name of Object.keys(this.ui.said)) this.say(name, null);
      [this.sample, this.place] = [null, null];
      this.selection.reset();
    }
    this.pointer.show();
    this.figure.image = null;
    this.sheets = new Sheets(facts, this.host, () => this.paint());
    const given = this.address.choices();
    if (!facts.columns.some(({ key }) => key === this.ui.column)) this.ui.column = null;
    this.ui.column ??= facts.columns[0].key;
    if (!facts.backgrounds.includes(this.ui.background)) this.ui.background = "";
    this.root.dataset.mode = facts.mode;
    this.root.setAttribute("aria-label", facts.alt);
    this.fit();
    this.toolbar.show();
    this.card.show();
    this.motion.show();
    await this.recolor(given);
    this.selection.show();
    if (this.ui.background) await this.setBackground();
    if (given) await this.address.apply(given);
    this.root.dataset.ready = facts.id;
  }

  /** Tell the host what the reader did; what is in force is remembered, to be taken back. */
  say(name, value) {
    // What is picked is an event, which nobody takes back.
    if (this.facts.mode !== "pick") {
      const { [name]: before, ...others } = this.ui.said;
      this.ui.said = value === null ? others : { ...others, [name]: true };
    }
    this.host.say(name, value);
  }

  /** Ring the samples of these rows, and mark a place in the pane of each key. */
  mark(marks) {
    this.marks = marks;
    this.paint();
  }

  /** Highlight a sample in every pane, and show it in the card. */
  highlight(i) {
    this.sample = i;
    const { toolbar } = this;
    if (toolbar.saidOf !== null && toolbar.saidOf !== i) toolbar.setStatus("");
    this.card.showSample(i);
    this.describeSheet();
    if (this.ui.ellipses) this.paint(); // its posterior
    else this.point();
  }

  /** Show where the highlighted sample and the decoded place are. */
  point() {
    this.address.soon();
    this.painter.point();
  }

  // --- Drawing ---

  /** Sort the samples into groups of one colour each, and draw them; `given` by an address. */
  async recolor(given = null) {
    const column = this.facts.columns.find(({ key }) => key === this.ui.column);
    const values = this.arrays[`column/${column.key}`].values;
    Object.assign(this, groupSamples(values, column, this.facts), { column });
    if (given) {
      this.ui.hidden = { ...this.ui.hidden, [this.legend.key()]: this.address.hide(given) };
    }
    this.legend.show();
    await this.hideAndShow();
  }

  /** Draw the samples that the legend does not hide, and leave out the others everywhere. */
  async hideAndShow() {
    this.mask = this.legend.mask();
    this.selection.refresh();
    await this.redraw();
  }

  async redraw() {
    this.titles.showTabs();
    const drawn = this.groups
      .map(({ members, color }) => ({ members: members.filter((i) => this.mask[i]), color }))
      .filter(({ members }) => members.length);
    const keys = this.facts.panes.map(({ view }) => view);
    const height = this.workbench ? this.stage.clientHeight : null;
    const labels = this.facts.label_names.length ? this.arrays["column/label"].values : null;
    await this.figure.draw(this.panes, drawn, { keys, only: this.only(), height, labels });
  }

  /** Lay the chosen background under the bottleneck. */
  setBackground() {
    const { background } = this.ui;
    const { image, description } = background
      ? backgroundImage(this.arrays, background) : { image: null, description: "" };
    this.toolbar.background = description;
    this.toolbar.setStatus("");
    return this.figure.background(image);
  }

  /** Draw what lies over the points. */
  paint() {
    this.address.soon();
    this.painter.paint();
  }

  // --- The window ---

  /** Whether the maps fill the window, beside an inspector and over a timeline. */
  get workbench() {
    return this.facts.mode === "all";
  }

  /** The number of the one pane that is shown, or null for all. */
  only() {
    if (!this.workbench) return null;
    const at = this.facts.panes.findIndex(({ key }) => key === this.ui.alone);
    if (this.panes.length < 2) return null;
    return at >= 0 ? at : this.narrow ? 0 : null;
  }

  /** Show one pane alone, by its number, or all of them: null. */
  maximise(i) {
    if (i !== null && !this.facts.panes[i]) return null;
    this.ui.alone = i === null ? null : this.facts.panes[i].key;
    return this.redraw();
  }

  /** Lay out the maps for the window; returns whether anything changed. */
  fit() {
    const { root } = this;
    this.narrow = root.clientWidth < NARROW;
    root.toggleAttribute("data-narrow", this.narrow && this.workbench);
    if (!this.workbench) root.style.height = "";
    else {
      const scrolled = lineage(root.parentNode).reduce((sum, each) => sum + each.scrollTop, 0);
      const top = root.getBoundingClientRect().top + scrolled;
      root.style.height = `${Math.max(window.innerHeight - top - 6, LEAST_HEIGHT)}px`;
    }
    this.toolbar.fit();
    this.titles.showTabs();
    const size = `${this.narrow} ${this.plot.clientWidth} ${this.stage.clientHeight}`;
    const changed = size !== this.size && (this.workbench || this.plot.clientWidth !== this.width);
    [this.size, this.width] = [size, this.plot.clientWidth];
    return changed;
  }

  resize() {
    if (this.facts && this.fit() && this.groups) this.redraw();
  }

  /** Open or close the sheet that the inspector is in a narrow window. */
  openSheet(open) {
    this.root.toggleAttribute("data-sheet", open);
    this.handle.setAttribute("aria-expanded", open);
    if (open && this.selection.members) this.selection.panel.reveal();
    this.describeSheet();
  }

  describeSheet() {
    const { members } = this.selection;
    const parts = [
      this.sample === null || !this.facts
        ? "Sample, place, selection" : `${this.name(this.sample)}, label ${this.labelOf(this.sample)}`,
      ...(members ? [`${members.length.toLocaleString("en")} selected`] : []),
    ];
    this.handle.textContent = `${this.root.hasAttribute("data-sheet") ? "▾" : "▴"} ${parts.join(" · ")}`;
  }

  /** The keys of the workbench: 1 to 9 show one pane, 0 all; Escape goes back. */
  press(event) {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (!this.facts || !this.workbench || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing || event.defaultPrevented || document.querySelector(":popover-open, [role=dialog]")) {
      return;
    }
    if (event.key === "0") this.maximise(null);
    else if (/^[1-9]$/.test(event.key)) {
      const i = Number(event.key) - 1;
      this.maximise(this.only() === i ? null : i);
    } else if (event.key === "Escape") {
      if (this.ui.alone !== null && !this.narrow) this.maximise(null);
      else if (this.selection.members) this.selection.select(null);
    }
  }

  // --- Samples, by their numbers among those shown ---

  /** Whether the legend shows a sample. */
  visible(i) {
    return this.mask[i] === 1;
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

  /** Stop everything that runs. */
  close() {
    this.resizes.disconnect();
    window.removeEventListener("resize", this.resized);
    document.removeEventListener("keydown", this.pressed);
    this.address.stop();
    this.motion.stop();
    this.figure.close();
  }
}
