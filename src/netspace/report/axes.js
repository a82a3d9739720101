// What drawings and tables are made of: elements, and axes with few round numbers on them.

const SVG = document.querySelector("svg").namespaceURI;

function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:")
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const percent = (number, digits = 2) => `${number.toFixed(digits)}\u00a0%`;

// How far along an axis a number stands, and back: the axis is {low, high, log}.
const along = (axis, at) =>
  axis.log ? Math.log(at / axis.low) / Math.log(axis.high / axis.low) : (at - axis.low) / (axis.high - axis.low);
const back = (axis, share) =>
  axis.log ? axis.low * (axis.high / axis.low) ** share : axis.low + share * (axis.high - axis.low);

// Round numbers on an axis, at most `most` of them.
function roundNumbers(axis, most) {
  const decades = Math.log10(axis.high / axis.low);
  if (axis.log && decades > 0.6) {
    for (const steps of [[1, 1.5, 2, 3, 5, 7], [1, 2, 3, 5], [1, 2, 5], [1]]) {
      const found = [];
      for (let decade = Math.floor(Math.log10(axis.low)); 10 ** decade <= axis.high; decade++)
        found.push(...steps.map((step) => step * 10 ** decade).filter((at) => at >= axis.low && at <= axis.high));
      if (found.length <= most || steps.length === 1) return found;
    }
  }
  const rough = (axis.high - axis.low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((candidate) => candidate >= rough);
  const found = [];
  for (let k = Math.ceil(axis.low / step); k * step <= axis.high; k++) found.push(k * step);
  return found;
}

const word = (number) => `${Number(number.toPrecision(4))}\u00a0%`;

// The share of networks with at most an error [%], exact but for steps that were left out.
function shareAt(curve, error) {
  let low = 0;
  let high = curve.errors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.errors[middle] <= error) low = middle + 1;
    else high = middle;
  }
  return low ? curve.shares[low - 1] : 0;
}
