// The table of all networks: unpacked once, then sorted, filtered, paged, copied and downloaded here.

const ROWS = 50;
const STAGE_FIELDS = { depths: "depth", widths: "width", "bottleneck ratios": "bottleneck_ratio", "group widths": "group_width" };

async function unpack(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// A number with three digits and a prefix, as on the rest of the page.
function amount(number) {
  for (const [size, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (number >= 0.9995 * size) return `${Number((number / size).toPrecision(3))}\u00a0${prefix}`;
  return String(number);
}

// A spec as TOML: what is no table first, since a table ends only where another begins.
function toml(value, path = "") {
  const isTable = (item) => item !== null && typeof item === "object" && !Array.isArray(item);
  const isTables = (item) => Array.isArray(item) && item.length > 0 && item.every(isTable);
  const named = (key) => (path ? `${path}.${key}` : key);
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  const plain = entries.filter(([, item]) => !isTable(item) && !isTables(item));
  const tables = entries.filter(([, item]) => isTable(item));
  const lists = entries.filter(([, item]) => isTables(item));
  return [
    ...plain.map(([key, item]) => `${key} = ${JSON.stringify(item)}\n`),
    ...tables.map(([key, item]) => `\n[${named(key)}]\n${toml(item, named(key))}`),
    ...lists.flatMap(([key, items]) => items.map((item) => `\n[[${named(key)}]]\n${toml(item, named(key))}`)),
  ].join("");
}

function save(name, type, ...parts) {
  const address = URL.createObjectURL(new Blob(parts, { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // an older browser, or one that forbids it to files
    const area = element("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

class Networks {
  constructor(root, spaces, table, parquet, state) {
    Object.assign(this, { root, spaces, table, parquet, state });
    this.total = table.digest.length;
    this.columns = this.allColumns();
    const column = (name) => this.columns.find((one) => one.name === name) ?? this.columns[0];
    this.sortedBy = () => column(this.state.sort.column);
    this.build();
    this.choose();
  }

  allColumns() {
    const { table, spaces } = this;
    const number = (name, values, shown) => ({ name, value: (i) => values[i], shown: (i) => shown(values[i]) });
    const words = (name, value) => ({ name, value, shown: value, isWords: true });
    const stage = ([name, field]) => {
      const at = table.fields.indexOf(field);
      const value = (i) => table.stages[i].map((numbers) => numbers[at]);
      const shown = (i) => {
        const all = value(i).map((one) => one ?? "-");
        return new Set(all).size === 1 ? String(all[0]) : all.join(", ");
      };
      return { name, value, shown, isWords: true, saved: `${field}s` };
    };
    return [
      words("space", (i) => spaces[table.space[i]].name),
      number("network", table.position, String),
      number("error", table.error, (error) => percent(100 * error)),
      words("status", (i) => table.status[i]),
      ...["flops", "params", "activations"].map((name) => number(name, table[name], amount)),
      ...Object.entries(STAGE_FIELDS).map(stage),
      number("seconds", table.seconds, (seconds) => seconds.toFixed(1)),
      words("digest", (i) => table.digest[i]),
    ];
  }

  build() {
    const button = (label, action) => element("button", { type: "button", onclick: action }, label);
    const { state } = this;
    this.text = element("input", {
      type: "search", id: "filter", placeholder: "words, such as failed or 16, 64", autocomplete: "off",
      oninput: () => this.change({ text: this.text.value, page: 0 }),
    });
    this.text.value = state.text;
    this.space = element("select", { id: "space", onchange: () => this.change({ space: this.space.value, page: 0 }) },
      element("option", { value: "" }, "all spaces"),
      ...this.spaces.map(({ name }) => element("option", { value: name }, name)));
    this.space.value = this.spaces.some(({ name }) => name === state.space) ? state.space : state.space = "";
    this.previous = button("Previous", () => this.change({ page: state.page - 1 }));
    this.next = button("Next", () => this.change({ page: state.page + 1 }));
    this.count = element("span", { role: "status" });
    this.said = element("span", { role: "status", class: "quiet" });
    this.heads = this.columns.map((column) => element("th", { scope: "col", class: column.isWords ? "words" : null },
      button(column.name, () => {
        const down = state.sort.column === column.name && !state.sort.down;
        this.change({ sort: { column: column.name, down }, page: 0 });
      })));
    this.body = element("tbody");
    const parquet = this.parquet.text
      ? button("Parquet", () => save("networks.parquet", "application/vnd.apache.parquet", bytesOf(this.parquet.text)))
      : element("a", { class: "button", href: this.parquet.file, download: true }, "Parquet");
    this.root.replaceChildren(
      element("div", { class: "controls" },
        element("label", {}, "Filter ", this.text), element("label", {}, "Space ", this.space),
        element("span", { class: "buttons" }, "Download ",
          button("CSV", () => save("networks.csv", "text/csv", this.csv())),
          button("JSON", () => save("networks.json", "application/json", this.json())), parquet)),
      element("div", { class: "scroll tall", role: "region", "aria-label": "All networks", tabindex: 0 },
        element("table", { id: "all-networks" },
          element("thead", {}, element("tr", {}, ...this.heads, element("th", { scope: "col" }, "copy the spec"))),
          this.body)),
      element("div", { class: "controls" },
        element("span", { class: "buttons" }, this.previous, this.next), this.count, this.said));
  }

  change(values) {
    Object.assign(this.state, values);
    this.choose();
  }

  // What a row says, for the filter; made when it is first needed.
  lines() {
    this.words ??= Array.from({ length: this.total }, (_, i) =>
      [...this.columns.map((column) => this.shown(column, i)), this.table.reason[i] ?? ""].join(" ").toLowerCase());
    return this.words;
  }

  shown(column, i) {
    return column.value(i) === null ? "-" : column.shown(i);
  }

  choose() {
    const { sort, text, space } = this.state;
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    const lines = wanted.length ? this.lines() : [];
    const place = this.spaces.findIndex(({ name }) => name === space);
    const kept = [];
    for (let i = 0; i < this.total; i++)
      if ((place < 0 || this.table.space[i] === place) && wanted.every((one) => lines[i].includes(one))) kept.push(i);
    const keys = Array(this.total);
    for (const i of kept) keys[i] = this.sortedBy().value(i);
    kept.sort((a, b) => this.compare(keys[a], keys[b], sort.down) || a - b);
    this.kept = kept;
    this.show();
  }

  // Nothing comes last, whichever way; lists by their first difference.
  compare(a, b, down) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (Array.isArray(a)) {
      for (let k = 0; k < Math.max(a.length, b.length); k++) {
        const found = this.compare(a[k] ?? -1, b[k] ?? -1, down);
        if (found) return found;
      }
      return 0;
    }
    return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
  }

  show() {
    const { state, kept } = this;
    const last = Math.max(0, Math.ceil(kept.length / ROWS) - 1);
    state.page = Math.min(Math.max(state.page, 0), last);
    const from = state.page * ROWS;
    this.previous.disabled = state.page === 0;
    this.next.disabled = state.page === last;
    const of = kept.length === this.total ? "" : ` of ${this.total.toLocaleString("en")}`;
    this.count.textContent = kept.length
      ? `${(from + 1).toLocaleString("en")} to ${Math.min(from + ROWS, kept.length).toLocaleString("en")} of ` +
        `${kept.length.toLocaleString("en")} networks${of && `, filtered from${of.slice(3)}`}`
      : `no network fits the filter${of && `;${of.slice(3)} in all`}`;
    const order = state.sort.down ? "descending" : "ascending";
    this.heads.forEach((head, k) =>
      head.setAttribute("aria-sort", this.columns[k] === this.sortedBy() ? order : "none"));
    this.body.replaceChildren(...kept.slice(from, from + ROWS).map((i) => this.row(i)));
  }

  row(i) {
    const cells = this.columns.map((column, k) => {
      const content = [this.shown(column, i)];
      if (k === 0) content.unshift(element("i", { class: `dot dot-${this.spaces[this.table.space[i]].hue}` }));
      const title = column.name === "status" ? this.table.reason[i] : null;
      return element(k ? "td" : "th", { class: column.isWords ? "words" : null, scope: k ? null : "row", title }, ...content);
    });
    const button = (form, text) => element("button", {
      type: "button", "aria-label": `Copy the spec as ${form}`,
      onclick: async () => {
        await copy(text());
        this.said.textContent = `copied ${this.table.digest[i].slice(0, 8)} as ${form}`;
      },
    }, form);
    const spec = () => this.spec(i);
    return element("tr", {}, ...cells, element("td", { class: "buttons" },
      button("JSON", () => JSON.stringify(spec(), null, 2)), button("TOML", () => toml(spec()))));
  }

  spec(i) {
    const { table } = this;
    const stages = table.stages[i].map((numbers) =>
      Object.fromEntries(numbers.map((number, k) => [table.fields[k], number])));
    return { ...table.frames[table.frame[i]], stages };
  }

  record(i) {
    const { table } = this;
    const plain = ["position", "digest", "status", "error", "seconds", "flops", "params", "activations", "reason"];
    return {
      space: this.spaces[table.space[i]].name,
      ...Object.fromEntries(plain.map((name) => [name, table[name][i]])),
      spec: this.spec(i),
      ...table.marks,
    };
  }

  json() {
    return `[\n${this.kept.map((i) => JSON.stringify(this.record(i))).join(",\n")}\n]\n`;
  }

  csv() {
    const cell = (value) => {
      const text = value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const stages = this.columns.filter(({ saved }) => saved);
    const records = this.kept.map((i) => {
      const { reason, spec, ...plain } = this.record(i);
      for (const name of Object.keys(this.table.marks)) delete plain[name];
      const lists = Object.fromEntries(stages.map(({ saved, shown }) => [saved, shown(i)]));
      return { ...plain, ...lists, reason, spec, ...this.table.marks };
    });
    const names = Object.keys(records[0] ?? { space: "", digest: "" });
    return [names, ...records.map((record) => Object.values(record).map(cell))].map((row) => row.join(",") + "\n").join("");
  }
}
