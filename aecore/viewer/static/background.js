// Pictures that lie behind the bottleneck: a quantity on a grid of the plane.

import { formatNumber } from "./dom.js";

export const BACKGROUNDS = {
  density: { title: "density of training codes", color: [11, 110, 153] },
  cycle_error: { title: "cycle error ‖E(D(z)) − z‖", color: [214, 96, 16] },
  sensitivity: { title: "decoder sensitivity ‖dD/dz‖", color: [131, 45, 182] },
};

const FADE = 0.08; // share of a side in which the picture fades: the quantity is unknown beyond

/**
 * The picture of a quantity.
 *
 * @param arrays those of the payload: `grid/x`, `grid/y` and the values (rows, columns)
 * @param name one of BACKGROUNDS
 * @returns {image, description}: the image for Figure.background, and what its colours mean
 */
export function backgroundImage(arrays, name) {
  const { values, shape } = arrays[`grid/${name}`];
  const { color, title } = BACKGROUNDS[name];
  const { source, low, high } = heat(values, ...shape, color, FADE);
  const [x, y] = ["x", "y"].map((axis) => arrays[`grid/${axis}`].values);
  const [x0, x1, y0, y1] = [x[0], x[x.length - 1], y[0], y[y.length - 1]];
  const step = [(x1 - x0) / (x.length - 1), (y1 - y0) / (y.length - 1)];
  const range = `from ${formatNumber(low)} (clear) to ${formatNumber(high)} (full)`;
  return {
    description: `Background: ${title}, ${range}`,
    image: {
      // A grid point is the centre of its pixel.
      source, x: x0 - step[0] / 2, y: y1 + step[1] / 2, sizex: x1 - x0 + step[0],
      sizey: y1 - y0 + step[1],
    },
  };
}

/**
 * A picture of values on a grid: transparent where low, `color` where high, as a data URL; it fades
 * at its edges over a share of its sides.
 */
export function heat(values, rows, columns, [red, green, blue], fade = 0) {
  const sorted = Float32Array.from(values).sort();
  const low = sorted[Math.floor(sorted.length * 0.02)];
  const high = sorted[Math.floor(sorted.length * 0.98)];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const draw = canvas.getContext("2d"), pixels = draw.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = values[(rows - 1 - row) * columns + column]; // pictures count from the top
      const share = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
      const edge = Math.min((row + 0.5) / rows, (rows - row - 0.5) / rows,
        (column + 0.5) / columns, (columns - column - 0.5) / columns);
      const alpha = 200 * share * (fade ? Math.min(edge / fade, 1) : 1);
      pixels.data.set([red, green, blue, alpha], (row * columns + column) * 4);
    }
  }
  draw.putImageData(pixels, 0, 0);
  return { source: canvas.toDataURL(), low, high };
}
