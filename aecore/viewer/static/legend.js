// The legend: a chip for each group of one colour, which hides and shows its samples.

import { element } from "./dom.js";

export class Legend {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-legend");
  }

  /** Fill the legend with the groups of the column. */
  show() {
    const { groups, column } = this.maps;
    this.chips = groups.map((group, i) => this.chip(group, i));
    this.root.replaceChildren(element("span", "", column.title), ...this.chips);
  }

  chip({ title, color, members }, i) {
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
      const others = this.chips.map((_, j) => j).filter((j) => j !== i);
      const alone = others.every((j) => this.hidden().has(j));
      this.hide(new Set(alone ? [] : others));
    };
    return chip;
  }

  /** What the hidden groups are remembered by: those of another dataset or column are others. */
  key() {
    return `${this.maps.facts.dataset}/${this.maps.column.key}`;
  }

  /** The numbers of the hidden groups. */
  hidden() {
    return new Set(this.maps.ui.hidden[this.key()] ?? []);
  }

  /** Hide these groups and show all others. */
  hide(hidden) {
    const { ui } = this.maps;
    ui.hidden = { ...ui.hidden, [this.key()]: [...hidden] };
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", !hidden.has(i)));
    this.maps.redraw();
  }
}
