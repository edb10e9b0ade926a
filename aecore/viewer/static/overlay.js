// What moves: drawn on a canvas over the panes, because redrawing the points themselves is slow.

export class Overlay {
  constructor(canvas, figure) {
    this.canvas = canvas;
    this.figure = figure;
  }

  /** Clear the canvas and make it fit; returns what draws, or null before there is a figure. */
  begin(ratio = window.devicePixelRatio || 1) {
    const { figure, canvas } = this;
    if (!figure.size || !figure.drawn.every((i) => figure.axes(i)[0]?._length)) return null;
    const width = figure.root.clientWidth, height = figure.height;
    if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const draw = canvas.getContext("2d");
    draw.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw.clearRect(0, 0, width, height);
    draw.font = "700 13px system-ui, sans-serif";
    draw.textAlign = "center";
    draw.textBaseline = "middle";
    return draw;
  }

  /** Draw something of one pane, cut off at its frame. */
  inPane(draw, i, body) {
    const { left, top, width, height } = this.figure.box(i);
    draw.save();
    draw.beginPath();
    draw.rect(left, top, width, height);
    draw.clip();
    body(this.figure.toPixels(i));
    draw.restore();
  }
}

/** Dots at places of a pane, each in its colour. Stamped, which is quicker than a path for each. */
export function dots(draw, toPixels, points, members, colorOf, size) {
  const stamps = new Map(), side = Math.ceil(size) + 2;
  for (const member of members) {
    const color = colorOf(member);
    if (!stamps.has(color)) stamps.set(color, dot(color, size, side));
    const [x, y] = toPixels(points[2 * member], points[2 * member + 1]);
    draw.drawImage(stamps.get(color), x - side / 2, y - side / 2, side, side);
  }
}

const SHARP = 4; // pixels of a stamp's side for each pixel of a page

function dot(color, size, side) {
  const stamp = new OffscreenCanvas(SHARP * side, SHARP * side), draw = stamp.getContext("2d");
  draw.arc((SHARP * side) / 2, (SHARP * side) / 2, (SHARP * size) / 2, 0, 2 * Math.PI);
  draw.fillStyle = color;
  draw.fill();
  return stamp;
}

/** A ring that is seen on any ground. */
export function ring(draw, [x, y], ink, ground, radius) {
  for (const [color, width] of [[ground, 3.5], [ink, 1.5]]) {
    draw.beginPath();
    draw.arc(x, y, radius, 0, 2 * Math.PI);
    draw.strokeStyle = color;
    draw.lineWidth = width;
    draw.stroke();
  }
}

/** The cross of a decoded place. */
export function cross(draw, [x, y], ink, ground) {
  for (const [color, width] of [[ground, 5], [ink, 2]]) {
    draw.beginPath();
    for (const [dx, dy] of [[12, 0], [0, 12]]) {
      draw.moveTo(x - dx, y - dy);
      draw.lineTo(x + dx, y + dy);
    }
    draw.strokeStyle = color;
    draw.lineWidth = width;
    draw.stroke();
  }
}

/** A name on a plate of its own. */
export function plate(draw, text, [x, y], ground = "rgba(30,40,48,0.78)", ink = "white") {
  const width = draw.measureText(text).width + 8;
  draw.fillStyle = ground;
  draw.fillRect(x - width / 2, y - 9, width, 18);
  draw.fillStyle = ink;
  draw.fillText(text, x, y + 1);
}

/** A text that is read on any ground, and hides little of it. */
export function written(draw, text, [x, y], ink, ground) {
  draw.lineJoin = "round";
  draw.lineWidth = 4;
  draw.strokeStyle = ground;
  draw.strokeText(text, x, y);
  draw.fillStyle = ink;
  draw.fillText(text, x, y);
}

/** Texts {at, width} moved apart until none covers another, each no farther than needed. */
export function spread(texts, height = 15) {
  const moved = texts.map((text) => ({ ...text, at: [...text.at] }));
  for (let round = 0; round < 30; round++) {
    let apart = true;
    moved.forEach((one, i) => moved.slice(0, i).forEach((other) => {
      const [dx, dy] = [0, 1].map((axis) => one.at[axis] - other.at[axis]);
      const over = [(one.width + other.width) / 2 + 4 - Math.abs(dx), height - Math.abs(dy)];
      if (Math.min(...over) <= 0.1) return;
      apart = false;
      const axis = over[0] < over[1] ? 0 : 1;
      const step = (over[axis] / 2) * ([dx, dy][axis] < 0 ? -1 : 1);
      one.at[axis] += step;
      other.at[axis] -= step;
    }));
    if (apart) break;
  }
  return moved;
}

/** An ellipse along the axes, given its half-widths in the units of the pane. */
export function ellipse(draw, toPixels, x, y, half_width, half_height, color) {
  const [px, py] = toPixels(x, y), [right, top] = toPixels(x + half_width, y + half_height);
  draw.beginPath();
  draw.ellipse(px, py, Math.abs(right - px), Math.abs(top - py), 0, 0, 2 * Math.PI);
  draw.strokeStyle = color;
  draw.stroke();
}
