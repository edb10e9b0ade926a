// The titles above the panes, and in a narrow window the tabs that choose one of them.

import { definitions, element } from "./dom.js";

export class Titles {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-titles");
    this.tabs = element("div", "loupe-tabs");
    this.tabs.setAttribute("role", "group");
    this.tabs.setAttribute("aria-label", "Pane");
  }

  show() {
    const { figure } = this.maps;
    if (!figure.size) return;
    this.heads = figure.drawn.map((i) => this.head(i));
    this.root.replaceChildren(...this.heads);
    this.describe();
  }

  head(i) {
    const { maps } = this;
    const { title } = maps.facts.panes[i];
    const { left, top, width } = maps.figure.box(i);
    const head = element("div", "", element("b", "", title), element("small"));
    Object.assign(head.style, { left: `${left}px`, top: `${top - 25}px`, width: `${width}px` });
    const outside = maps.figure.outside(i, (at) => maps.visible(at));
    if (outside) {
      const all = element("button", "", `${outside.toLocaleString("en")} outside`);
      all.title = `${outside.toLocaleString("en")} samples lie outside of this view: show all`;
      all.onclick = () => maps.figure.reset([i]);
      head.append(all);
    }
    if (maps.workbench && maps.panes.length > 1 && !maps.narrow) {
      const alone = maps.only() === i;
      const button = element("button", "", alone ? "⤡" : "⤢");
      button.title = alone ? "Show all panes (0)" : `Show ${title} alone (${i + 1})`;
      button.setAttribute("aria-label", button.title);
      button.onclick = () => maps.maximise(alone ? null : i);
      head.append(button);
      head.ondblclick = () => maps.maximise(alone ? null : i);
    }
    return head;
  }

  /** What is said of each pane: its measures, or for the bottleneck in motion where it is. */
  describe() {
    const { figure, facts, motion, panes } = this.maps;
    if (figure.panes !== panes) return; // the heads are of what was there before
    this.heads?.forEach((head, at) => {
      const i = figure.drawn[at];
      const { title, about = "", note: measures } = facts.panes[i];
      const note = (i === 0 && motion.where()) || measures;
      head.querySelector("small").textContent = note;
      const named = Object.keys(facts.glossary).filter((term) =>
        (about + note).toLowerCase().includes(term.toLowerCase().replace(" accuracy", "")));
      head.title = [title, about, note, definitions(facts, named)].filter(Boolean).join("\n\n");
    });
  }

  showTabs() {
    const { maps } = this;
    this.tabs.hidden = !(maps.workbench && maps.narrow && maps.panes.length > 1);
    const titles = maps.facts.panes.map(({ title }) => title);
    if (String(titles) !== String(this.titles)) {
      this.titles = titles;
      this.tabs.replaceChildren(...titles.map((title, i) => {
        const tab = element("button", "", title);
        tab.onclick = () => maps.maximise(i);
        return tab;
      }));
    }
    [...this.tabs.children].forEach((tab, i) => tab.setAttribute("aria-pressed", maps.only() === i));
  }
}
