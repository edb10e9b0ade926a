// The legend: a chip for each class, or a scale of a number with two handles; it hides samples.

import { element, formatValue } from "./dom.js";

const STEPS = 100; // of the handles

export class Legend {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-legend");
  }

  /** Fill the legend with the groups of the column. */
  show() {
    const { groups, column, bounds } = this.maps;
    this.chips = bounds ? [] : groups.map((group) => this.chip(group));
    this.root.replaceChildren(
      element("span", "", column.title), ...(bounds ? this.scale(bounds) : this.chips));
  }

  /** What hidden samples are remembered by: the numbers of another run mean something else. */
  key() {
    const { facts, column } = this.maps;
    return `${column.names ? facts.dataset : facts.panes[0].view}/${column.key}`;
  }

  /** What is hidden: the values of classes, or {low, high, missing} of a number, null for no limit. */
  get hidden() {
    return this.maps.ui.hidden[this.key()] ?? (this.maps.bounds ? {} : []);
  }

  /** Which samples are shown, 1 for each. */
  mask() {
    const { arrays, column, n } = this.maps;
    const { values } = arrays[`column/${column.key}`];
    const mask = new Uint8Array(n);
    if (column.names) {
      const hidden = new Set(this.hidden);
      for (let i = 0; i < n; i++) mask[i] = !hidden.has(values[i]);
      return mask;
    }
    const { low = null, high = null, missing = false } = this.hidden;
    for (let i = 0; i < n; i++) {
      mask[i] = Number.isFinite(values[i])
        ? (low === null || values[i] >= low) && (high === null || values[i] <= high) : !missing;
    }
    return mask;
  }

  /** Hide this and show all other samples. */
  hide(hidden) {
    const { maps } = this;
    maps.ui.hidden = { ...maps.ui.hidden, [this.key()]: hidden };
    for (const chip of this.chips) {
      chip.setAttribute("aria-pressed", !hidden.includes(Number(chip.dataset.value)));
    }
    return maps.hideAndShow();
  }

  // --- Classes ---

  chip({ title, color, members, value }) {
    const chip = element("button", "loupe-chip", element("i", ""), title);
    chip.firstChild.style.background = color;
    chip.dataset.value = value;
    chip.title = `${members.length.toLocaleString("en")} samples. Click to hide or show, ` +
      "double-click to show only these";
    chip.setAttribute("aria-pressed", !this.hidden.includes(value));
    chip.onclick = (event) => {
      if (event.detail > 1) return; // the second of a double click
      const { hidden } = this;
      this.hide(hidden.includes(value)
        ? hidden.filter((other) => other !== value) : [...hidden, value]);
    };
    chip.ondblclick = () => {
      const others = this.maps.groups.map((group) => group.value).filter((other) => other !== value);
      const alone = others.every((other) => this.hidden.includes(other));
      this.hide(alone ? [] : others);
    };
    return chip;
  }

  // --- Numbers ---

  /** The colours of a number from its lowest to its highest, and two handles that limit it. */
  scale([low, high]) {
    const { facts, groups, column } = this.maps;
    const at = (step) => low + (step / STEPS) * (high - low);
    const { hidden } = this;
    const [least, most] = ["low", "high"].map((end) => {
      const handle = element("input");
      Object.assign(handle, { type: "range", min: 0, max: STEPS, step: 1 });
      const limit = hidden[end] ?? null;
      const rest = end === "low" ? 0 : STEPS;
      handle.value = limit === null ? rest : (STEPS * (limit - low)) / (high - low || 1);
      handle.setAttribute("aria-label", `${end === "low" ? "Lowest" : "Highest"} ${column.title} shown`);
      return handle;
    });
    const texts = [element("output"), element("output")];
    const describe = () => {
      // The first and the last colour are those of everything beyond, too.
      texts[0].textContent = `${Number(least.value) ? "" : "≤ "}${formatValue(column, at(Number(least.value)))}`;
      texts[1].textContent = `${most.value < STEPS ? "" : "≥ "}${formatValue(column, at(Number(most.value)))}`;
    };
    const limits = () => ({
      ...this.hidden,
      low: Number(least.value) ? at(Number(least.value)) : null,
      high: Number(most.value) < STEPS ? at(Number(most.value)) : null,
    });
    for (const [handle, other, sign] of [[least, most, 1], [most, least, -1]]) {
      handle.oninput = () => {
        // One does not pass the other.
        if (sign * (handle.value - other.value) > 0) handle.value = other.value;
        describe();
      };
      handle.onchange = () => this.hide(limits());
    }
    describe();
    const bar = element("span", "loupe-ramp", least, most);
    const steps = facts.ramp.flatMap((color, i) => [
      `${color} ${(100 * i) / facts.ramp.length}%`, `${color} ${(100 * (i + 1)) / facts.ramp.length}%`]);
    bar.style.background = `linear-gradient(to right, ${steps.join(", ")})`;
    const unknown = groups.find(({ color }) => color === facts.grey);
    return [texts[0], bar, texts[1], ...(unknown ? [this.unmeasured(unknown)] : [])];
  }

  unmeasured({ color, members }) {
    const chip = element("button", "loupe-chip", element("i", ""),
      this.maps.column.known ? "no value" : "not measured");
    chip.firstChild.style.background = color;
    chip.title = `${members.length.toLocaleString("en")} samples. Click to hide or show`;
    chip.setAttribute("aria-pressed", !this.hidden.missing);
    chip.onclick = () => {
      const missing = !this.hidden.missing;
      chip.setAttribute("aria-pressed", !missing);
      this.hide({ ...this.hidden, missing });
    };
    return chip;
  }
}
