// Nearest points, polygons, and the view of a pane.

/** Points (n, 2) in square cells, to find the nearest to a place without looking at them all. */
export class Cells {
  constructor(points) {
    this.points = points;
    const n = points.length / 2;
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const x = points[2 * i], y = points[2 * i + 1];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      if (y > top) top = y;
    }
    this.bounds = [left, bottom, right, top];
    this.side = Math.max(1, Math.floor(Math.sqrt(n / 2)));
    this.cell = [(right - left) / this.side || 1, (top - bottom) / this.side || 1];
    const cells = new Int32Array(n);
    this.start = new Int32Array(this.side * this.side + 1);
    for (let i = 0; i < n; i++) {
      cells[i] = this.row(points[2 * i + 1]) * this.side + this.column(points[2 * i]);
      this.start[cells[i] + 1]++;
    }
    for (let c = 0; c < this.side * this.side; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    this.members = new Int32Array(n);
    for (let i = 0; i < n; i++) this.members[next[cells[i]]++] = i;
  }

  column(x) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((x - this.bounds[0]) / this.cell[0])));
  }

  row(y) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((y - this.bounds[1]) / this.cell[1])));
  }

  /** The point nearest to (x, y) no farther than `reach` among those that `admits` takes, or -1. */
  nearest(x, y, reach, admits) {
    let best = -1, least = reach * reach;
    for (let row = this.row(y - reach); row <= this.row(y + reach); row++) {
      for (let column = this.column(x - reach); column <= this.column(x + reach); column++) {
        const cell = row * this.side + column;
        for (let at = this.start[cell]; at < this.start[cell + 1]; at++) {
          const i = this.members[at];
          const distance = (this.points[2 * i] - x) ** 2 + (this.points[2 * i + 1] - y) ** 2;
          if (distance <= least && admits(i)) [best, least] = [i, distance];
        }
      }
    }
    return best;
  }
}

/** Whether (x, y) lies in a polygon [[x, y], ...], by the parity of the edges to its right. */
export function inside(x, y, polygon) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i], [bx, by] = polygon[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

/** The bounding box of a polygon: [left, right, bottom, top]. */
export function boxOf(polygon) {
  const [x, y] = [0, 1].map((axis) => polygon.map((point) => point[axis]));
  return [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
}

/** The k codes (m, d) nearest to a code, nearest first: [[number, distance], ...]. */
export function nearestCodes(codes, d, code, k) {
  const found = [];
  let worst = Infinity;
  for (let i = 0, at = 0; at < codes.length; i++, at += d) {
    let distance = 0;
    for (let j = 0; j < d; j++) distance += (codes[at + j] - code[j]) ** 2;
    if (distance >= worst) continue;
    let place = found.length;
    while (place && found[place - 1][1] > distance) place--;
    found.splice(place, 0, [i, distance]);
    if (found.length > k) found.pop();
    if (found.length === k) worst = found[k - 1][1];
  }
  return found.map(([i, distance]) => [i, Math.sqrt(distance)]);
}

/** How many of the sorted values are below x, as a share. */
export function shareBelow(sorted, x) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low / sorted.length;
}

/**
 * The part of a plane that shows its points: {x, y} of its middle, and its {width, height}.
 *
 * @param points (n, 2)
 * @param mass whether points far from all others may stay outside, so that the rest is readable
 */
export function frameOf(points, mass) {
  const [x, y] = [0, 1].map((axis) => {
    const values = points.filter((value, i) => i % 2 === axis && Number.isFinite(value)).sort();
    const [low, high] = mass ? bulk(values) : [values[0] ?? 0, values[values.length - 1] ?? 0];
    return { middle: (low + high) / 2, extent: 1.1 * (high - low) || 1 };
  });
  return { x: x.middle, y: y.middle, width: x.extent, height: y.extent };
}

/** Bounds of sorted values without outliers, and without a few that lie beyond a wide gap. */
function bulk(values) {
  if (!values.length) return [0, 0];
  const quantile = (share) => values[Math.round(share * (values.length - 1))];
  const margin = 0.5 * (quantile(0.99) - quantile(0.01));
  let first = values.findIndex((value) => value >= quantile(0.01) - margin);
  let last = values.findLastIndex((value) => value <= quantile(0.99) + margin);
  const few = ISLAND * values.length, wide = GULF * (values[last] - values[first]);
  for (let i = first + 1; i < few && i <= last; i++) {
    if (values[i] - values[i - 1] > wide) first = i;
  }
  for (let i = last; values.length - i < few && i > first; i--) {
    if (values[i] - values[i - 1] > wide) last = i - 1;
  }
  return [values[first], values[last]];
}

const ISLAND = 0.15; // share of the samples that may be left out together
const GULF = 0.3; // of the extent, so wide that what lies beyond makes the rest small
