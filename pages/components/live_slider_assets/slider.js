// A slider that asks for a new picture while it is dragged: one request at a time, the newest value
// next, so that the pictures keep up with the hand however long the server takes.

const LOST = 3_000; // milliseconds after which an answer is no longer waited for

class LiveSlider {
  constructor(root) {
    [this.range, this.picture] = [root.querySelector("input"), root.querySelector("img.live-picture")];
    [this.title, this.value] = [root.querySelector("span"), root.querySelector("output")];
    this.track = root.querySelector("img.live-track");
    this.beside = root.closest(".st-key-workbench");
    this.asked = null; // the value that the server works on
    this.range.oninput = () => {
      this.write();
      this.ask();
    };
    this.range.onchange = () => {
      this.settled = true;
      this.ask();
    };
  }

  show({ data, setTriggerValue }) {
    const other = this.data?.key !== data.key, [asked, wanted] = [this.asked, Number(this.range.value)];
    this.data = data;
    this.say = (value, settled) => setTriggerValue("moved", { value, settled });
    const { title, low, high, step, value, picture, width, alt, track } = data;
    this.title.textContent = title;
    Object.assign(this.range, { min: low, max: high, step });
    Object.assign(this.picture, { src: picture, alt });
    this.picture.style.width = `${width}px`;
    this.track.hidden = !track;
    if (track) this.track.src = track;
    this.asked = null;
    if (other) this.settled = false;
    // The hand is ahead of the server, unless that was told by something else or has answered
    // this very wish by another value.
    const ahead = !other && this.moving && asked !== wanted;
    if (!ahead) this.range.value = value;
    this.write();
    this.ask();
  }

  write() {
    const { value, min, max } = this.range;
    this.value.textContent = Number(value).toString();
    // For a chart beside it that marks the value by its style.
    this.beside?.style.setProperty("--live-share", (value - min) / (max - min));
  }

  ask() {
    const wanted = Number(this.range.value);
    this.moving = Math.abs(wanted - this.data.value) > this.data.step / 2;
    if (this.asked !== null && performance.now() - this.since < LOST) return;
    if (this.moving) {
      [this.asked, this.since] = [wanted, performance.now()];
      this.say(wanted, false);
    } else if (this.settled) {
      this.settled = false;
      this.say(wanted, true); // nothing new comes of it; it goes into the address
    }
  }
}

const mounted = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".live");
  if (!mounted.has(root)) mounted.set(root, new LiveSlider(root));
  root.slider = mounted.get(root); // for measurements
  root.slider.show(component);
}
