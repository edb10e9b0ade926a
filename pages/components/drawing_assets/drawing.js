// A canvas to draw on with pen, finger or mouse. The picture is sent as a PNG after each stroke.

const WIDTH = 15; // of a stroke, in pixels

class Drawing {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.pen, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
    this.canvas.onpointerdown = (event) => this.begin(event);
    this.canvas.onpointermove = (event) => this.move(event);
    this.canvas.onpointerup = this.canvas.onpointercancel = () => this.end();
    root.querySelector("button").onclick = () => this.clear();
  }

  at(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - left) / width) * this.canvas.width,
      ((event.clientY - top) / height) * this.canvas.height,
    ];
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.drawing = true;
    this.pen.beginPath();
    this.pen.moveTo(...this.at(event));
    this.move(event); // a touch without a move is a dot
  }

  move(event) {
    if (!this.drawing) return;
    this.pen.lineTo(...this.at(event));
    this.pen.stroke();
  }

  end() {
    if (!this.drawing) return;
    this.drawing = false;
    const opaque = document.createElement("canvas");
    [opaque.width, opaque.height] = [this.canvas.width, this.canvas.height];
    const paper = opaque.getContext("2d");
    paper.fillRect(0, 0, opaque.width, opaque.height); // black
    paper.drawImage(this.canvas, 0, 0);
    this.say(opaque.toDataURL("image/png"));
  }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.say(null);
  }
}

const mounted = new WeakMap();

export default function ({ parentElement, setStateValue }) {
  const root = parentElement.querySelector(".drawing");
  if (!mounted.has(root)) mounted.set(root, new Drawing(root));
  mounted.get(root).say = (picture) => setStateValue("drawn", picture);
}
