// Linked maps: panes over one index of samples. This is the state that all parts of them share, and
// what draws them anew; each part (toolbar, legend, pointer, ...) has a module of its own and is
// given this object.

import { backgroundImage } from "./background.js";
import { Card } from "./card.js";
import { element, remembered } from "./dom.js";
import { Figure } from "./figure.js";
import { groupSamples } from "./groups.js";
import { Legend } from "./legend.js";
import { Motion } from "./motion.js";
import { Painter } from "./painter.js";
import { unpack } from "./payload.js";
import { Pointer } from "./pointer.js";
import { Selection } from "./selection.js";
import { Sheets } from "./sheets.js";
import { Toolbar } from "./toolbar.js";

/**
 * The maps in an element. Set by `show`, for the parts to read:
 *
 * facts, arrays: the payload; rows: the number in the dataset of each of the n samples
 * panes: the points (n, 2) of each pane, the bottleneck first
 * column: what the samples are coloured by; groups, groupOf: the samples by colour
 * ui: the reader's choices, remembered for this tab and mode
 * sample: the number of the sample that is highlighted in every pane, or null
 * place: where in the bottleneck is decoded, [x, y] or null
 * marks: the rows that are ringed in the mode "pick"
 */
export class LinkedMaps {
  constructor(root, host) {
    this.root = root;
    this.host = host;
    this.sample = null;
    this.place = null;
    this.marks = [];
    this.build();
    this.resizes = new ResizeObserver(() => this.resize());
    this.resizes.observe(this.plot);
    this.themes = new MutationObserver(() => this.paint());
    this.themes.observe(document.documentElement, { attributes: true, subtree: false });
  }

  build() {
    this.plot = element("div", "loupe-plot");
    this.canvas = element("canvas", "loupe-overlay");
    this.canvas.setAttribute("aria-hidden", "true");
    this.titles = element("div", "loupe-titles");
    this.figure = new Figure(this.plot, () => this.paint());
    this.toolbar = new Toolbar(this);
    this.legend = new Legend(this);
    this.card = new Card(this);
    this.motion = new Motion(this);
    this.selection = new Selection(this);
    this.pointer = new Pointer(this);
    this.painter = new Painter(this);
    const figure = element("div", "loupe-figure", this.plot, this.canvas, this.titles);
    this.root.replaceChildren(
      this.toolbar.root, this.legend.root, element("div", "loupe-body", figure, this.card.root),
      this.motion.root, this.selection.panel.root,
    );
  }

  /** Show a payload. The one that is shown already is left as it is. */
  async show(bytes) {
    const { arrays, facts } = unpack(bytes);
    if (facts.id === this.facts?.id) return;
    const same = facts.samples === this.facts?.samples;
    // By the mode, because a host may mount the same maps in another element every time.
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
    if (!same) {
      // What the host was told, perhaps by maps before these, was of other samples.
      for (const name of Object.keys(this.ui.said)) this.say(name, null);
      [this.sample, this.place] = [null, null];
      this.selection.reset();
    }
    this.pointer.show();
    this.figure.image = null;
    this.sheets = new Sheets(facts, this.host, () => this.paint());
    if (!facts.columns.some(({ key }) => key === this.ui.column)) this.ui.column = null;
    this.ui.column ??= facts.columns[0].key;
    if (!facts.backgrounds.includes(this.ui.background)) this.ui.background = "";
    this.root.dataset.mode = facts.mode;
    this.root.setAttribute("aria-label", facts.alt);
    this.toolbar.show();
    this.card.show();
    this.motion.show();
    await this.recolor();
    this.selection.show();
    if (this.ui.background) await this.setBackground();
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

  /** Ring the samples of these rows. */
  mark(rows) {
    this.marks = rows;
    this.paint();
  }

  /** Highlight a sample in every pane, and show it in the card. */
  highlight(i) {
    this.sample = i;
    this.card.showSample(i);
    this.paint();
  }

  // --- Drawing ---

  /** Sort the samples into groups of one colour each, and draw them. */
  async recolor() {
    const column = this.facts.columns.find(({ key }) => key === this.ui.column);
    const values = this.arrays[`column/${column.key}`].values;
    const { groups, groupOf } = groupSamples(values, column, this.facts);
    this.column = column;
    this.groups = groups;
    this.groupOf = groupOf;
    this.legend.show();
    await this.redraw();
  }

  /** Draw the points of the groups that the legend does not hide. */
  async redraw() {
    const hidden = this.legend.hidden();
    this.shown = this.groups.map((group, i) => !hidden.has(i));
    const drawn = this.groups.filter((_, i) => this.shown[i]);
    await this.figure.draw(this.panes, drawn, this.figure.image);
    this.fillTitles();
  }

  /** Lay the chosen background under the bottleneck. */
  setBackground() {
    const { background } = this.ui;
    if (!background) return this.figure.background(null);
    const { image, description } = backgroundImage(this.arrays, background);
    this.toolbar.setStatus(description);
    return this.figure.background(image);
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

  /** Draw what lies over the points. */
  paint() {
    this.painter.paint();
  }

  resize() {
    if (!this.facts || this.plot.clientWidth === this.width) return;
    this.width = this.plot.clientWidth;
    if (this.groups) this.redraw();
  }

  // --- Samples, by their numbers among those shown ---

  /** Whether the legend shows a sample's group. */
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

  /** Stop everything that runs. */
  close() {
    this.resizes.disconnect();
    this.themes.disconnect();
    this.motion.stop();
    this.figure.close();
  }
}
