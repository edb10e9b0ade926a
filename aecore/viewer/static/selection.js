// Which samples are selected or picked, and what the host hears of it.

import { boxOf, inside } from "./geometry.js";
import { SelectionPanel } from "./selection_panel.js";

const BATCH = 5000; // milliseconds in which picks are sent together

export class Selection {
  constructor(maps) {
    this.maps = maps;
    this.panel = new SelectionPanel(maps);
    this.reset();
  }

  /** Forget everything, because other samples are shown. */
  reset() {
    this.rule = null; // by which samples are selected, as for `select`
    this.members = null; // the numbers of those that the legend shows, in order, or null
    this.picks = []; // what was last picked
  }

  /** Fill the panel: the decoder and the panes to choose from may be others. */
  show() {
    this.panel.show(this.members ?? []);
  }

  /**
   * Select samples by a rule, or null for none: {label}, a number; {text}, which one of their texts
   * or categories holds; {movers}, how many of those that
   * lie furthest from their places in the first other run; {pane, polygon} and {pane, box: [left,
   * right, bottom, top]}, in the coordinates of the pane of this key; or a function of a sample's
   * number, which no address holds.
   */
  select(rule) {
    const { maps } = this;
    this.rule = rule;
    const { samples, mode } = maps.facts;
    const { members, mask } = this.apply();
    if (mode === "pick") {
      maps.paint(); // they are marked when the host has taken them
      maps.toolbar.setStatus(`${members.length.toLocaleString("en")} samples selected`);
      if (members.length) this.sendPick({ samples, mask: packMask(mask) });
      return;
    }
    maps.toolbar.setStatus(rule && !members.length ? "No sample inside" : "");
    if (!members.length) this.rule = null;
    this.set(members, mask);
  }

  /** Select anew, after the legend has hidden or shown samples. */
  refresh() {
    if (!this.rule || this.maps.facts.mode === "pick") return;
    const { members, mask } = this.apply();
    if (String(members) !== String(this.members ?? [])) this.set(members, mask);
  }

  /** The samples that a rule takes and the legend shows. */
  apply() {
    const { maps } = this;
    const mask = new Uint8Array(maps.n);
    const members = [];
    const admits = this.rule && this.condition(this.rule);
    for (let i = 0; admits && i < maps.n; i++) {
      if (maps.visible(i) && admits(i)) {
        mask[i] = 1;
        members.push(i);
      }
    }
    return { members, mask };
  }

  condition(rule) {
    if (typeof rule === "function") return rule;
    const { arrays, facts, panes } = this.maps;
    if ("label" in rule) {
      const labels = arrays["column/label"].values;
      return (i) => labels[i] === rule.label;
    }
    if ("text" in rule) return this.holding(rule.text);
    if ("movers" in rule) return this.movers(rule.movers);
    const points = panes[facts.panes.findIndex(({ key }) => key === rule.pane)];
    if (!points) return () => false; // the pane is not shown any more
    const { polygon } = rule;
    // Most samples lie outside of the box around a polygon, which is quickly found.
    const [left, right, bottom, top] = polygon ? boxOf(polygon) : rule.box;
    return (i) => {
      const x = points[2 * i], y = points[2 * i + 1];
      return x >= left && x <= right && y >= bottom && y <= top && (!polygon || inside(x, y, polygon));
    };
  }

  /** The samples of which a text, or a category other than the label, holds a text in any case. */
  holding(text) {
    const { arrays, facts } = this.maps;
    const wanted = text.toLowerCase();
    const categories = facts.columns.filter(({ known, names }) => known && names).map(({ key, names }) => [
      arrays[`column/${key}`].values,
      new Set(names.flatMap((name, value) => (name.toLowerCase().includes(wanted) ? [value] : []))),
    ]);
    return (i) => facts.texts.some(({ values }) => values[i].toLowerCase().includes(wanted)) ||
      categories.some(([values, held]) => held.has(values[i]));
  }

  /** The samples that moved most between this and the first other run, of those that the legend shows. */
  movers(count) {
    const moved = this.maps.arrays["column/moved"]?.values ?? [];
    const visible = Array.from(moved.keys()).filter((i) => this.maps.visible(i));
    const most = new Set(visible.sort((a, b) => moved[b] - moved[a]).slice(0, count));
    return (i) => most.has(i);
  }

  set(members, mask) {
    const { maps } = this;
    this.members = members.length ? members : null;
    maps.paint();
    this.show();
    maps.describeSheet();
    if (this.members) this.panel.reveal();
    const { samples } = maps.facts;
    maps.say("selection", this.members && { samples, mask: packMask(mask), when: performance.now() });
  }

  /** Send the sample that was clicked, -1 for none. */
  pick(i) {
    const { maps } = this;
    if (i < 0) return maps.toolbar.setStatus("No sample here: click on one");
    maps.highlight(i); // a finger does not point before it clicks
    maps.toolbar.setStatus(`Clicked ${maps.name(i)}`, i);
    this.sendPick({ sample: maps.rows[i] });
  }

  /** Send one sample, or the mask of some, as an event: the same may be picked again. */
  sendPick(pick) {
    const when = performance.now();
    // Of what is sent while a server is busy it hears only the last, so the last few go together.
    const recent = this.picks.filter((other) => when - other.when < BATCH);
    this.picks = [...recent, { ...pick, when }];
    this.maps.say("picked", this.picks);
  }
}

/** A mask as base64 of its bits, the first sample in the highest bit: 1 KB for 8,000 samples. */
export function packMask(mask) {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((on, i) => (bytes[i >> 3] |= on << (7 - (i & 7))));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
