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
 * @param mass whether a few points far from all others may stay outside, so that the rest is readable
 * @param labels the class of each point, or null; half of each class is shown at least
 */
export function frameOf(points, mass, labels = null) {
  const [x, y] = [0, 1].map((axis) => {
    const values = points.filter((value, i) => i % 2 === axis && Number.isFinite(value)).sort();
    const [low, high] = mass ? bulk(values) : [values[0] ?? 0, values[values.length - 1] ?? 0];
    return { middle: (low + high) / 2, extent: 1.1 * (high - low) || 1 };
  });
  const frame = { x: x.middle, y: y.middle, width: x.extent, height: y.extent };
  return mass && labels && hidesClass(frame, points, labels) ? frameOf(points, false) : frame;
}

const END = 0.0025; // share of the points that may be left out at each of the four ends

/** Bounds of sorted values without the few at either end that lie far beyond the others. */
function bulk(values) {
  if (!values.length) return [0, 0];
  const few = Math.floor(END * values.length);
  const low = values[few], high = values[values.length - 1 - few];
  const margin = 0.5 * (high - low);
  return [
    values.find((value) => value >= low - margin), values.findLast((value) => value <= high + margin)];
}

/** Whether more than half of the points of a class lie outside of a frame. */
function hidesClass({ x, y, width, height }, points, labels) {
  const counts = new Map(); // by class: how many points, and how many outside
  labels.forEach((label, i) => {
    const count = counts.get(label) ?? [0, 0];
    const [px, py] = [points[2 * i], points[2 * i + 1]];
    count[0]++;
    count[1] += Math.abs(px - x) > width / 2 || Math.abs(py - y) > height / 2;
    counts.set(label, count);
  });
  return [...counts.values()].some(([all, outside]) => outside > all / 2);
}
