// The bar above the panes: tools, colours, background, overlays, a search field, and the status.

import { BACKGROUNDS } from "./background.js";
import { element, fill } from "./dom.js";

const TOOLS = {
  pick: ["Pick", "Click a sample to put its number into the field, or to take it out again"],
  explore: ["Explore", "Point to see samples; click or drag in the bottleneck to decode"],
  move: ["Move", "Drag to move the view"],
  lasso: ["Lasso", "Draw around samples to select them"],
  box: ["Box", "Draw a box around samples to select them"],
};

export class Toolbar {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-bar");
  }

  /** Fill the bar with what the payload allows. */
  show() {
    const { facts } = this.maps;
    const picks = facts.mode === "pick";
    this.status = element("span", "loupe-said");
    this.status.setAttribute("role", "status");
    const whole = element("button", "", "Whole view");
    whole.onclick = () => this.maps.figure.reset();
    const behind = picks ? "Behind" : "Behind the code";
    this.root.replaceChildren(
      this.tools(picks),
      element("label", "", "Colour by", this.colors()),
      ...(facts.backgrounds.length ? [element("label", "", behind, this.backgrounds())] : []),
      ...(picks ? [] : [...this.overlays(), element("label", "", "Find", this.search())]),
      whole,
      this.status,
    );
  }

  /** Say in a few words what happened. */
  setStatus(text) {
    this.status.textContent = text;
  }

  /** A button for each tool, the chosen one pressed. */
  tools(picks) {
    const { ui, plot } = this.maps;
    const allowed = Object.entries(TOOLS).filter(([tool]) => tool !== (picks ? "explore" : "pick"));
    const buttons = allowed.map(([tool, [title, hint]]) => {
      const button = element("button", "", title);
      button.title = hint;
      button.setAttribute("aria-pressed", ui.tool === tool);
      button.onclick = () => {
        ui.tool = tool;
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
        plot.dataset.tool = tool;
      };
      return button;
    });
    plot.dataset.tool = ui.tool;
    return element("div", "loupe-tools", ...buttons);
  }

  colors() {
    const { facts, ui } = this.maps;
    const select = fill(element("select"), facts.columns.map((c) => [c.key, c.title]), ui.column);
    select.onchange = () => {
      ui.column = select.value;
      this.maps.recolor();
    };
    return select;
  }

  backgrounds() {
    const { facts, ui } = this.maps;
    const options = facts.backgrounds.map((key) => [key, BACKGROUNDS[key].title]);
    const select = fill(element("select"), [["", "nothing"], ...options], ui.background);
    select.onchange = () => {
      ui.background = select.value;
      this.maps.setBackground();
    };
    return select;
  }

  /** A check box for each thing that can be drawn over the points. */
  overlays() {
    const { facts, arrays, ui } = this.maps;
    return [
      ["centroids", "Centroids", facts.label_names.length > 0],
      ["ellipses", "Posteriors", "spread" in arrays],
      ["prior", "Prior", facts.prior],
    ].filter(([, , possible]) => possible).map(([name, title]) => {
      const box = element("input");
      box.type = "checkbox";
      box.checked = ui[name];
      box.onchange = () => {
        ui[name] = box.checked;
        this.maps.paint();
      };
      return element("label", "loupe-check", box, title);
    });
  }

  search() {
    const field = element("input");
    Object.assign(field, { type: "search", placeholder: "#38, or a label", size: 12 });
    field.onkeydown = (event) => {
      if (event.key === "Enter") this.find(field.value);
      event.stopPropagation(); // the page has shortcuts of its own
    };
    return field;
  }

  /** Highlight the sample of a number, or select those of a label. */
  find(query) {
    const { maps } = this;
    const { label_names, n_test } = maps.facts;
    const text = query.trim().toLowerCase();
    const label = label_names.findIndex((name) => name.toLowerCase() === text);
    const [, split, digits] = text.match(/^(?:(test|train)\s*)?#?(\d+)$/) ?? [];
    const row = Number(digits) + (split === "train" ? n_test : 0);
    // A number is a sample's if it says so, and a label's where there is such a label.
    if (label >= 0 && !text.includes("#")) {
      const labels = maps.arrays["column/label"].values;
      maps.selection.select((i) => labels[i] === label && maps.visible(i));
      this.setStatus(`Selected: label ${label_names[label]}`);
      return;
    }
    const i = digits === undefined ? -1 : maps.rows.indexOf(row);
    if (i < 0) {
      const example = label_names[0] ? ` or ${label_names[0]}` : "";
      this.setStatus(`No sample here is called “${query}”: try #${maps.rows[0]}${example}`);
      return;
    }
    this.setStatus(`Found ${maps.name(i)}`);
    maps.highlight(i);
  }
}
