// A canvas to draw on with pen, finger or mouse, and to drop, paste or open a picture on. A drawing is
// sent as a PNG after each stroke, a file as it is.

const WIDTH = 15; // of a stroke, in pixels

class Drawing {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.file = root.querySelector("input");
    this.note = root.querySelector("p");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.pen, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
    this.canvas.onpointerdown = (event) => this.begin(event);
    this.canvas.onpointermove = (event) => this.move(event);
    this.canvas.onpointerup = this.canvas.onpointercancel = () => this.end();
    const [open, clear] = root.querySelectorAll("button");
    open.onclick = () => this.file.click();
    clear.onclick = () => this.clear();
    this.file.onchange = () => {
      this.open(this.file.files[0]);
      this.file.value = ""; // the same file may be opened again
    };
    root.ondragover = (event) => {
      event.preventDefault(); // or else the browser would open the file in place of the page
      root.classList.add("over");
    };
    root.ondragleave = () => root.classList.remove("over");
    root.ondrop = (event) => {
      event.preventDefault();
      root.classList.remove("over");
      this.open(event.dataTransfer.files[0]);
    };
    this.pasted = (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
      if (!file || event.target.closest?.("input, textarea, [contenteditable]")) return;
      event.preventDefault();
      this.open(file);
    };
  }

  /** Take the answer of the server: the picture that it has, and its number. */
  show({ picture, opened, number, most }) {
    const last = this.number;
    Object.assign(this, { number, most });
    // A drawing is here already, and may have another stroke by now.
    if (!picture || (last !== undefined && (number === last || !opened))) return;
    const image = new Image();
    image.onload = () => {
      const { width, height } = this.canvas;
      const scale = Math.min(width / image.width, height / image.height);
      const [w, h] = [image.width * scale, image.height * scale];
      this.pen.clearRect(0, 0, width, height);
      this.pen.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
    };
    image.src = picture;
  }

  /** Send a file. What was drawn stays until the server has read it. */
  open(file) {
    if (!file) return;
    this.note.textContent = "";
    const size = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MB`;
    if (file.size > this.most) {
      this.note.textContent = `${file.name} has ${size(file.size)}, more than ${size(this.most)}: ` +
        "make it smaller, for example 1,000 x 1,000 pixels.";
      return;
    }
    const reader = new FileReader();
    reader.onload = () => this.say(reader.result, true);
    reader.onerror = () => {
      this.note.textContent = `${file.name} cannot be read: ${reader.error.message}. Open it once more.`;
    };
    reader.readAsDataURL(file);
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
    this.note.textContent = "";
    const opaque = document.createElement("canvas");
    [opaque.width, opaque.height] = [this.canvas.width, this.canvas.height];
    const paper = opaque.getContext("2d");
    paper.fillRect(0, 0, opaque.width, opaque.height); // black
    paper.drawImage(this.canvas, 0, 0);
    this.say(opaque.toDataURL("image/png"), false);
  }

  clear() {
    this.note.textContent = "";
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.say("", false);
  }
}

const mounted = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".drawing");
  if (!mounted.has(root)) mounted.set(root, new Drawing(root));
  const drawing = mounted.get(root);
  // Of a data URL the server wants what follows the comma.
  drawing.say = (url, opened) => setTriggerValue("given", { content: url.split(",")[1] ?? "", opened });
  drawing.show(data);
  document.addEventListener("paste", drawing.pasted);
  return () => document.removeEventListener("paste", drawing.pasted);
}
