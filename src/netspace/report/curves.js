// The distributions of errors: drawn again at every toggle, zoom and width, read off under the pointer or by keys.

const MARGIN = { left: 46, right: 16, top: 12, bottom: 40 };

class Curves {
  constructor(root, data, state, changed) {
    Object.assign(this, { root, data, state, changed });
    this.choice = element(
      "select",
      { id: "weighing", onchange: () => this.change({ weighing: this.choice.value }) },
      ...Object.keys(data.curves).map((name) =>
        element("option", { value: name }, name === "networks" ? "each network" : `each level of ${name}`)),
    );
    if (!(state.weighing in data.curves)) state.weighing = "networks";
    this.choice.value = state.weighing;
    const button = (label, action) => element("button", { type: "button", onclick: action }, label);
    this.reset = button("Reset zoom", () => this.change({ view: null }));
    this.zoomOut = button("Zoom out", () => this.zoom(2));
    const controls = element(
      "div", { class: "controls" },
      element("label", {}, "What counts alike ", this.choice),
      element("span", { class: "buttons" }, button("Zoom in", () => this.zoom(0.5)), this.zoomOut, this.reset),
    );
    this.svg = element("svg:svg", {
      id: "curves-drawing", tabindex: 0, role: "img",
      "aria-label": "Distributions of errors. Arrow keys read them off, + and - zoom, Escape shows all again.",
      onpointermove: (event) => this.move(event), onpointerdown: (event) => this.press(event),
      onpointerup: (event) => this.release(event), onpointerleave: () => this.drag || this.point(null),
      onkeydown: (event) => this.key(event), onblur: () => this.point(null),
    });
    this.tip = element("div", { class: "tip", role: "status", hidden: true });
    root.append(controls, element("div", { class: "chart" }, this.svg, this.tip));
    this.draw();
  }

  get whole() {
    return { ...this.data.axis, bottom: 0, top: 1 };
  }

  get usual() {
    return { ...this.whole, ...this.data.usual };
  }

  get view() {
    return this.state.view ? { ...this.state.view, log: this.data.axis.log } : this.usual;
  }

  get showsAll() {
    const { view, whole } = this;
    return view.low <= whole.low && view.high >= whole.high && view.bottom <= 0 && view.top >= 1;
  }

  get shown() {
    const curves = this.data.curves[this.state.weighing] ?? [];
    return curves.map((curve, space) => ({ curve, space })).filter(({ curve, space }) =>
      curve && !this.state.hidden.has(this.data.spaces[space].name));
  }

  change(values) {
    Object.assign(this.state, values);
    this.changed();
  }

  zoom(factor) {
    const { view, usual, whole } = this;
    const middle = this.at === undefined || this.at === null ? 0.5 : along(view, this.at);
    const ends = [middle - factor * middle, middle + factor * (1 - middle)].map((share) => back(view, share));
    const low = Math.max(ends[0], whole.low);
    const high = Math.min(ends[1], whole.high);
    const first = factor > 1 && usual.low >= low && usual.high <= high && usual.high >= whole.high;
    if (first || high - low > 1e-4) this.change({ view: first ? null : { ...view, low, high, ...(factor > 1 ? { bottom: 0, top: 1 } : {}) } });
  }

  x(error) {
    return this.left + this.across * along(this.view, error);
  }

  y(share) {
    const { bottom, top } = this.view;
    return MARGIN.top + this.up * (1 - (share - bottom) / (top - bottom));
  }

  draw() {
    const width = Math.max(this.root.clientWidth, 280);
    const height = Math.round(Math.min(470, Math.max(300, 0.45 * width)));
    this.left = MARGIN.left;
    this.across = width - MARGIN.left - MARGIN.right;
    this.up = height - MARGIN.top - MARGIN.bottom;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("height", height);
    const { view } = this;
    const frame = { x: this.left, y: MARGIN.top, width: this.across, height: this.up };
    this.rubber = element("svg:rect", { class: "rubber", hidden: true });
    this.cross = element("svg:g", { class: "cross", hidden: true });
    const clip = element("svg:clipPath", { id: "curves-clip" }, element("svg:rect", frame));
    const curves = element("svg:g", { "clip-path": "url(#curves-clip)" });
    for (const { curve, space } of this.shown) curves.append(...this.paths(curve, space, view));
    this.svg.replaceChildren(clip, ...this.axes(width, height), curves, this.rubber, this.cross);
    this.reset.disabled = !this.state.view;
    this.zoomOut.disabled = this.showsAll;
    this.point(null);
  }

  axes(width, height) {
    const lines = [];
    const bottom = MARGIN.top + this.up;
    for (const share of roundNumbers({ low: this.view.bottom, high: this.view.top }, 5)) {
      const y = this.y(share);
      lines.push(element("svg:path", { class: "rule", d: `M${this.left} ${y}H${width - MARGIN.right}` }));
      lines.push(element("svg:text", { class: "up", x: this.left - 8, y: y + 4 }, word(100 * share)));
    }
    for (const error of roundNumbers(this.view, Math.max(3, Math.floor(this.across / 70)))) {
      const x = this.x(error);
      lines.push(element("svg:path", { class: "rule", d: `M${x} ${bottom}v5` }));
      lines.push(element("svg:text", { class: "along", x, y: bottom + 18 }, word(error)));
    }
    const beyond = this.shown.reduce((sum, { space }) => sum + this.data.spaces[space].beyond, 0);
    const isCut = beyond && this.view.high === this.usual.high;
    const notes = [this.view.log && "logarithmic axis", isCut && `${beyond} beyond (zoom out)`].filter(Boolean);
    const title = [this.data.error, ...notes].join(", ");
    lines.push(element("svg:text", { class: "along quiet", x: this.left + this.across / 2, y: height - 4 }, title));
    return lines;
  }

  paths(curve, space, view) {
    const { hue, dash } = this.data.spaces[space];
    const right = this.left + this.across;
    const from = this.x(view.low);
    const points = curve.errors.map((error) => this.x(error).toFixed(1));
    const steps = (shares) => points.map((x, k) => `H${x}V${shares[k + 1].toFixed(1)}`).join("");
    const limit = (sign) => [0, ...curve.shares].map((share) =>
      this.y(Math.min(1, Math.max(0, share + sign * curve.half))));
    const heights = [0, ...curve.shares].map((share) => this.y(share));
    const [lower, upper] = [limit(-1), limit(1)];
    const down = points.map((x, k) => `V${lower[k + 1].toFixed(1)}H${x}`).reverse().join("");
    const found = [];
    if (points.length) {
      const band = `M${from} ${upper[0]}${steps(upper)}H${right}${down}V${lower[0]}H${from}Z`;
      found.push(element("svg:path", { class: `band fill-${hue} line-${hue}`, d: band, "data-band": space }));
      const line = `M${points[0]} ${heights[0]}${steps(heights)}H${right}`;
      found.push(element("svg:path",
        { class: `curve line-${hue}`, d: line, "stroke-dasharray": dash || null, "data-curve": space }));
    }
    if (curve.failed) {
      const end = heights[heights.length - 1];
      const x = right - 4 - 7 * space;
      found.push(element("svg:path", { class: `gap line-${hue}`, d: `M${x} ${end}V${this.y(1)}` }));
    }
    return found;
  }

  // Show what all curves say at an error [%]; at null nothing.
  point(error) {
    this.at = error;
    const shown = this.shown;
    this.cross.toggleAttribute("hidden", error === null);
    this.tip.toggleAttribute("hidden", error === null);
    if (error === null) return;
    const x = this.x(error);
    this.cross.replaceChildren(element("svg:path", { d: `M${x} ${MARGIN.top}v${this.up}` }));
    const rows = shown.map(({ curve, space }) => {
      const { name, hue } = this.data.spaces[space];
      const share = shareAt(curve, error);
      const y = this.y(share);
      if (y >= MARGIN.top - 1 && y <= MARGIN.top + this.up + 1)
        this.cross.append(element("svg:circle", { class: `fill-full-${hue}`, cx: x, cy: y, r: 4 }));
      const limits = [share - curve.half, share + curve.half].map((at) => 100 * Math.min(1, Math.max(0, at)));
      const counted = this.state.weighing === "networks" ? "" : `, worth ${curve.effective} alike`;
      const failed = curve.failed ? `, ${curve.failed} failed` : "";
      return element("tr", {},
        element("th", { scope: "row" }, element("i", { class: `dot dot-${hue}` }), name),
        element("td", {}, percent(100 * share, 1)),
        element("td", {}, `${limits[0].toFixed(0)} to ${percent(limits[1], 0)}`),
        element("td", {}, `n = ${curve.n}${counted}${failed}`));
    });
    this.tip.replaceChildren(
      element("p", {}, `error at most ${percent(error)}`),
      element("table", {}, element("tbody", {}, ...rows)));
    const scale = this.svg.clientWidth / this.svg.viewBox.baseVal.width || 1;
    const room = this.root.clientWidth - this.tip.offsetWidth;
    const isRight = x < this.left + this.across / 2;
    const side = isRight ? x * scale + 14 : x * scale - this.tip.offsetWidth - 14;
    this.tip.style.left = `${Math.max(0, Math.min(side, room))}px`;
    this.tip.classList.toggle("low", isRight); // curves rise to the right: there is room below them, left of them above
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const inside = (at, low, size) => Math.min(Math.max(at, low), low + size);
    return {
      x: inside((event.clientX - box.left) * scale, this.left, this.across),
      y: inside((event.clientY - box.top) * scale, MARGIN.top, this.up),
    };
  }

  error(x) {
    return back(this.view, (x - this.left) / this.across);
  }

  press(event) {
    if (event.button !== 0) return;
    this.drag = this.place(event);
    this.svg.setPointerCapture(event.pointerId);
  }

  // The rectangle that a drag has laid; one that is flat leaves the shares as they are.
  rectangle(to) {
    const [left, right] = [this.drag.x, to.x].sort((a, b) => a - b);
    const [top, bottom] = [this.drag.y, to.y].sort((a, b) => a - b);
    return bottom - top < 40 ? { left, right, top: MARGIN.top, bottom: MARGIN.top + this.up } : { left, right, top, bottom };
  }

  move(event) {
    const to = this.place(event);
    this.point(this.error(to.x));
    if (!this.drag) return;
    const { left, right, top, bottom } = this.rectangle(to);
    const area = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [key, value] of Object.entries(area)) this.rubber.setAttribute(key, value);
    this.rubber.toggleAttribute("hidden", right - left < 8);
  }

  release(event) {
    if (!this.drag) return;
    const { left, right, top, bottom } = this.rectangle(this.place(event));
    this.drag = null;
    if (right - left < 8) return;
    const height = (y) => this.view.bottom + (1 - (y - MARGIN.top) / this.up) * (this.view.top - this.view.bottom);
    this.change({ view: { low: this.error(left), high: this.error(right), bottom: height(bottom), top: height(top) } });
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const from = this.at ?? back(this.view, 0.5);
      const share = along(this.view, from) + step * (event.shiftKey ? 0.1 : 0.01);
      this.point(back(this.view, Math.min(1, Math.max(0, share))));
    } else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "Escape" || event.key === "0") this.change({ view: null });
    else return;
    event.preventDefault();
  }
}
