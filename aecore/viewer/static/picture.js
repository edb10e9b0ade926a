// A picture of the panes as a file, with what lies over their points, their titles, and the legend.

import { plotly } from "./figure.js";
import { spread } from "./overlay.js";

const SCALE = 2; // pixels of a PNG for each of the page
const LEGEND = 34; // pixels under the panes
const DIMMED = 0.22; // points that are not selected, as in the styles
const MOST_VECTORS = 5000; // samples that are drawn as shapes of their own; more are pixels

/** Save what the panes show as a file, "png" at twice the size or "svg". */
export async function savePicture(maps, format) {
  const { figure, facts, plot, painter } = maps;
  const style = getComputedStyle(maps.root);
  const [ink, ground] = ["text", "background"].map((name) => style.getPropertyValue(`--loupe-${name}`));
  const { clientWidth: width } = plot, height = figure.height + LEGEND;
  const kind = format === "svg" && maps.n <= MOST_VECTORS ? "scatter" : "scattergl";
  // The paper lies within a margin of one pixel.
  const over = {
    source: painter.picture(SCALE), xref: "paper", yref: "paper", layer: "above", sizing: "stretch",
    xanchor: "left", yanchor: "top", x: -1 / (width - 2), y: 1 + 1 / (figure.height - 2),
    sizex: width / (width - 2), sizey: figure.height / (figure.height - 2),
  };
  const layout = {
    ...plot.layout, width, height, paper_bgcolor: ground, plot_bgcolor: ground,
    margin: { l: 1, r: 1, t: 1, b: LEGEND + 1 }, images: [...plot.layout.images, over],
    annotations: annotations(maps, width, ink, ground),
  };
  const { toImage } = await plotly();
  const opacity = maps.selection.members ? DIMMED : 1;
  const data = plot.data.map((trace) => ({ ...trace, type: kind, opacity }));
  const scale = format === "png" ? SCALE : 1;
  const url = await toImage({ data, layout }, { format, width, height, scale });
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: `${facts.run}-maps.${format}` });
  link.click();
}

/** The texts of the picture: titles with their measures, names at centroids, and the legend. */
function annotations(maps, width, ink, ground) {
  const { figure, facts, painter, column, groups, bounds } = maps;
  const plain = { showarrow: false, font: { color: ink, size: 13, family: "sans-serif" } };
  const paper = (x, y, text, more) => ({
    ...plain, xref: "paper", yref: "paper", x: x / width, y: 1 - y / figure.height,
    xanchor: "left", yanchor: "bottom", text, ...more,
  });
  const titles = figure.drawn.map((i) => {
    const { left, top } = figure.box(i), { title, note } = facts.panes[i];
    const said = (i === 0 && maps.motion.where()) || note;
    return paper(left, top, `<b>${escape(title)}</b>  ${escape(said)}`);
  });
  const centroids = figure.drawn.flatMap((i) => {
    const toPixels = figure.toPixels(i), { left, top, width: w, height: h } = figure.box(i);
    // The centroids of samples in motion are elsewhere.
    const shown = i === 0 && maps.motion.where() ? [] : painter.centroidsOf(maps.panes[i]);
    const texts = shown.map(
      ({ title, x, y }) => ({ title, at: toPixels(x, y), width: 8 * title.length }));
    return spread(texts)
      .filter(({ at: [x, y] }) => x > left && x < left + w && y > top && y < top + h)
      .map(({ title, at: [x, y] }) => paper(x, y, `<b>${escape(title)}</b>`, {
        xanchor: "center", yanchor: "middle", bgcolor: ground, borderpad: 0, opacity: 0.85,
      }));
  });
  const entries = bounds
    ? facts.ramp.map((color) => `<span style="color:${color}">■</span>`).join("") +
      ` ${bounds.map((bound) => bound.toPrecision(3)).join(" to ")}`
    : groups.filter(({ members }) => members.some((i) => maps.visible(i)))
      .map(({ title, color }) => `<span style="color:${color}">●</span> ${escape(title)}`).join("   ");
  const legend = paper(0, figure.height + LEGEND - 6, `${escape(column.title)}:  ${entries}`);
  return [...titles, ...centroids, legend];
}

/** A name as Plotly shows it as it is. */
function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
