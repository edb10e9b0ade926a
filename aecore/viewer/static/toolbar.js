// The bar above the panes: tools, colours, background, overlays, a search field.

import { BACKGROUNDS } from "./background.js";
import { definitions, element, fill, menu, place } from "./dom.js";
import { savePicture } from "./picture.js";

const TOOLS = {
  pick: ["Pick", "Click a sample to put its number into the field, or to take it out again"],
  explore: ["Explore", "Point to see samples; click or drag in the bottleneck to decode"],
  move: ["Move", "Drag to move the view, turn the wheel to zoom"],
  lasso: ["Lasso", "Draw around samples to select them"],
  box: ["Box", "Draw a box around samples to select them"],
};

export class Toolbar {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-bar");
    this.status = element("span", "loupe-said");
    this.status.setAttribute("role", "status");
    this.background = ""; // what is said of it where nothing else is
  }

  /** Fill the bar with what the payload allows. */
  show() {
    const { facts, workbench } = this.maps;
    const picks = facts.mode === "pick";
    this.background = "";
    this.setStatus("");
    const whole = element("button", "", "Reset zoom");
    whole.title = "Show every sample of every pane";
    whole.onclick = () => this.maps.figure.reset();
    const overlays = workbench ? this.overlays() : [];
    this.rest = element("div", "loupe-rest",
      element("label", "", "Colour", this.colors()),
      ...(facts.backgrounds.length ? [element("label", "", "Background", this.backgrounds())] : []),
      ...(overlays.length ? [menu("Layers", ...overlays)] : []),
      ...(picks ? [] : [element("label", "", "Find", this.search())]),
      ...(workbench ? [this.zoom()] : []),
      whole,
      ...(this.maps.address.used ? [this.copy()] : []),
      ...(workbench ? [this.pictures()] : []),
    );
    // In a narrow window only the tools stand in the bar.
    this.more = element("button", "", "More");
    this.more.popoverTargetElement = this.rest;
    this.rest.addEventListener("beforetoggle", () => place(this.rest, this.more));
    this.root.replaceChildren(this.tools(picks), this.more, this.rest);
    this.fit();
  }

  /** Put what is not a tool into a menu where there is little room. */
  fit() {
    if (!this.rest) return;
    const { narrow, workbench } = this.maps;
    this.more.hidden = !(narrow && workbench);
    if (this.more.hidden) this.rest.removeAttribute("popover");
    else if (!this.rest.popover) this.rest.popover = "auto";
  }

  /** Say in a few words what happened, perhaps to a sample; "" says what the background means. */
  setStatus(text, sample = null) {
    this.saidOf = sample;
    this.status.textContent = this.status.title = text || this.background;
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
        this.maps.address.write();
      };
      return button;
    });
    plot.dataset.tool = ui.tool;
    return element("div", "loupe-tools", ...buttons);
  }

  /** Buttons that zoom, for fingers and the keyboard. */
  zoom() {
    return element("span", "loupe-zoom", ...[["−", "Zoom out", 1.5], ["+", "Zoom in", 1 / 1.5]].map(
      ([sign, title, factor]) => {
        const button = element("button", "", sign);
        button.title = title;
        button.setAttribute("aria-label", title);
        button.onclick = () => this.maps.figure.zoom(factor);
        return button;
      }));
  }

  /** A menu of the files that the panes can be saved as. */
  pictures() {
    return menu("Picture", ...[["png", "PNG, twice the size"], ["svg", "SVG"]].map(([format, title]) => {
      const button = element("button", "", title);
      button.onclick = () => {
        button.closest("[popover]").hidePopover();
        savePicture(this.maps, format);
      };
      return button;
    }));
  }

  /** A button that copies the address, which holds the view. */
  copy() {
    const button = element("button", "", "Copy link");
    button.title = "Copy the address of this view: colours, zoom, selection and all";
    button.onclick = async () => {
      this.maps.address.write();
      // Browsers allow it on secure pages alone.
      const copied = await navigator.clipboard?.writeText(window.location.href).then(
        () => true, () => false);
      this.setStatus(copied ? "Link copied" : "Copy the address of this page: it holds this view");
    };
    return button;
  }

  colors() {
    const { facts, ui } = this.maps;
    const select = fill(element("select"), facts.columns.map((c) => [c.key, c.title]), ui.column);
    select.setAttribute("aria-label", "Colour by");
    select.title = definitions(facts, [
      "Reconstruction error", "False neighbours", "Torn neighbours",
      ...(facts.others.length ? ["Stability"] : [])]);
    select.onchange = () => {
      ui.column = select.value;
      this.maps.recolor();
    };
    return select;
  }

  backgrounds() {
    const { facts, ui } = this.maps;
    const options = facts.backgrounds.map((key) => [key, BACKGROUNDS[key].title]);
    const select = fill(element("select"), [["", "none"], ...options], ui.background);
    select.className = "loupe-background";
    select.title = definitions(facts, ["Density", "Cycle error", "Sensitivity"]);
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
      ["ellipses", "Posteriors", "spread" in arrays, "Posterior"],
      ["prior", "Prior", facts.prior, "Prior"],
    ].filter(([, , possible]) => possible).map(([name, title, , term]) => {
      const box = element("input");
      box.type = "checkbox";
      box.checked = ui[name];
      box.onchange = () => {
        ui[name] = box.checked;
        this.maps.paint();
      };
      const label = element("label", "loupe-check", box, title);
      if (term) label.title = definitions(facts, [term]);
      return label;
    });
  }

  search() {
    const field = element("input");
    const placeholder = this.describing() ? "#38, label, text" : "#38, or a label";
    Object.assign(field, { type: "search", placeholder, size: 12 });
    field.onkeydown = (event) => {
      event.stopPropagation(); // the page has shortcuts of its own
      if (event.key === "Enter") this.find(field.value);
      else if (event.key === "Escape") {
        if (this.maps.selection.members) this.maps.selection.select(null);
      }
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
      maps.selection.select({ label });
      if (maps.selection.members) this.setStatus(`Selected: label ${label_names[label]}`);
      else this.setStatus(`Label ${label_names[label]} is hidden by the legend, or has no sample here`);
      return;
    }
    const i = digits === undefined ? -1 : maps.rows.indexOf(row);
    if (i < 0 && text && !text.includes("#") && this.describing()) {
      const holds = maps.selection.holding(text);
      if (maps.rows.some((_, at) => maps.visible(at) && holds(at))) {
        maps.selection.select({ text });
        this.setStatus(`Selected: samples with “${query.trim()}” in their metadata`);
        return;
      }
    }
    if (i < 0) {
      this.setStatus(`Nothing here is called “${query}”: ${this.searchable()}`);
      return;
    }
    if (!maps.visible(i)) {
      this.setStatus(`${maps.name(i)} is hidden by the legend`);
      return;
    }
    this.setStatus(`Found ${maps.name(i)}`, i);
    maps.highlight(i);
  }

  /** What the search field takes. */
  searchable() {
    const { rows, facts: { label_names } } = this.maps;
    const last = label_names.length - 1;
    const labels = last < 0 ? "" : ` or a label (${label_names[0]} to ${label_names[last]})`;
    const texts = this.describing() ? ", or a text in the metadata" : "";
    return `search for the number of a sample (#${rows[0]})${labels}${texts}`;
  }

  /** Whether there are texts or categories of the samples to look in. */
  describing() {
    const { facts } = this.maps;
    return facts.texts.length > 0 || facts.columns.some(({ known, names }) => known && names);
  }
}
