'use strict';
// The page: a graph with groups that open and close, a search, and the facts of what is chosen.

const SVG = 'http://www.w3.org/2000/svg', MOST_HITS = 200;
const svg = document.getElementById('graph'), stage = document.getElementById('stage');
const facts = document.getElementById('facts'), hits = document.getElementById('hits');
const search = document.getElementById('search'), modes = document.getElementById('modes');
const reads = DATA.nodes.map(() => []), readers = DATA.nodes.map(() => []);
for (const [a, b] of DATA.edges) { reads[b].push(a); readers[a].push(b); }
let tree, open, view = { x: 0, y: 0, scale: 1 }, chosen = null, marked = new Set(), boxes = new Map(), size;

const thousands = number => number.toLocaleString('en');
const short = (number, unit) =>
  `${number >= 1e9 ? `${(number / 1e9).toFixed(2)} G` : number >= 1e6 ? `${(number / 1e6).toFixed(1)} M`
    : number >= 1e4 ? `${(number / 1e3).toFixed(0)} k` : number} ${unit}`;
const cut = text => (text.length > 34 ? `…${text.slice(-33)}` : text);
const times = extents => extents.join('×');

// Groups of a tree have numbers from V on, behind those of the operators; the root is the last of them.
function makeTree(name) {
  const { groups, home } = DATA.trees[name], V = DATA.nodes.length, root = V + groups.length;
  const parent = [...home, ...groups.map(group => group[1])].map(number => (number < 0 ? root : V + number));
  const children = new Map([[root, []]]);
  groups.forEach((_, n) => children.set(V + n, []));
  // Children stand in the order of their first operators.
  const placed = new Set();
  for (let n = 0; n < V; n++) {
    for (let child = n; child !== root && !placed.has(child); child = parent[child]) {
      placed.add(child);
      children.get(parent[child]).push(child);
    }
  }
  const sums = new Map();
  const sum = group => {
    const total = { operators: 0, parameters: 0, products: 0 };
    for (const child of children.get(group)) {
      const { operators, parameters, products } = child < V
        ? { operators: 1, parameters: DATA.nodes[child].parameters, products: DATA.nodes[child].products } : sum(child);
      total.operators += operators; total.parameters += parameters; total.products += products;
    }
    sums.set(group, total);
    return total;
  };
  sum(root);
  return { V, root, parent, children, sums, label: group => groups[group - V][0] };
}

// The groups around an item, from the inside out, without the root.
function around(item) {
  const groups = [];
  for (let group = tree.parent[item]; group !== tree.root; group = tree.parent[group]) groups.push(group);
  return groups;
}

// Lines between the items of every open group, and those that enter or leave the group.
function lifted() {
  const inside = new Map([...open, tree.root].map(group => [group, new Map()]));
  const add = (group, source, target) => inside.get(group).set(`${source} ${target}`, [source, target]);
  for (const [a, b] of DATA.edges) {
    const left = [a, ...around(a)], right = [b, ...around(b)];
    while (left.length && right.length && left[left.length - 1] === right[right.length - 1]) { left.pop(); right.pop(); }
    const shared = tree.parent[left[left.length - 1]];
    if (!inside.has(shared) || !visible(shared)) continue;
    add(shared, left[left.length - 1], right[right.length - 1]);
    for (let n = left.length - 1; n > 0 && open.has(left[n]); n--) add(left[n], left[n - 1], 'out');
    for (let n = right.length - 1; n > 0 && open.has(right[n]); n--) add(right[n], 'in', right[n - 1]);
  }
  return inside;
}

const visible = item => item === tree.root || (open.has(item) && around(item).every(group => open.has(group)));

function textsOf(item) {
  if (item < tree.V) {
    const node = DATA.nodes[item];
    const kernel = node.kernel[0] && node.kernel[1] ? ` ${times(node.kernel)}` : '';
    return [`${node.operator}${kernel} · ${times(node.output)}`, cut(node.layer)].filter(text => text);
  }
  const total = tree.sums.get(item);
  const held = [total.parameters && short(total.parameters, 'parameters'), total.products && short(total.products, 'multiply-adds')];
  return [`▸ ${cut(tree.label(item))}`, [`${total.operators} operators`, ...held.filter(text => text)].join(' · ')];
}

function boxOf(item, inside) {
  if (item >= tree.V && open.has(item)) return groupBox(item, inside);
  const texts = textsOf(item);
  const w = 22 + Math.max(7 * texts[0].length, 5.8 * (texts[1] || '').length), h = texts.length > 1 ? 36 : 22;
  return { item, texts, w, h, inX: w / 2, outX: w / 2 };
}

function groupBox(group, inside) {
  const edges = [...inside.get(group).values()], ends = new Set(edges.flat());
  const items = tree.children.get(group).map(child => boxOf(child, inside));
  if (ends.has('in')) items.unshift({ item: 'in', w: 0, h: 0, inX: 0, outX: 0, first: true });
  if (ends.has('out')) items.push({ item: 'out', w: 0, h: 0, inX: 0, outX: 0, last: true });
  const number = new Map(items.map((box, n) => [box.item, n]));
  const { width, height, lines } = layered(items, edges.map(([a, b]) => [number.get(a), number.get(b)]));
  const side = group === tree.root ? 0 : PADDING, top = group === tree.root ? 0 : HEADER;
  const wide = Math.max(width, group === tree.root ? 0 : 7 * tree.label(group).length), shift = side + (wide - width) / 2;
  const port = name => (number.has(name) ? items[number.get(name)].x + shift : wide / 2 + side);
  return {
    item: group, items, shift: [shift, top], w: wide + 2 * side, h: height + top + side, inX: port('in'), outX: port('out'),
    lines: lines.map(line => ({ ...line, source: items[line.source].item, target: items[line.target].item })),
  };
}

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function drawGroup(box, x, y, parent) {
  const [left, top] = [x + box.shift[0], y + box.shift[1]];
  for (const { source, target, points } of box.lines) {
    const [start, ...rest] = points.map(([px, py]) => [left + px, top + py]);
    // A line goes on to the border of its group.
    if (source === 'in') start[1] = y;
    if (target === 'out') rest[rest.length - 1][1] = y + box.h;
    let path = `M${start}`, before = start;
    for (const point of rest) {
      const middle = (before[1] + point[1]) / 2;
      path += point[0] === before[0] ? `V${point[1]}` : `C${before[0]},${middle} ${point[0]},${middle} ${point}`;
      before = point;
    }
    const line = element('path', { d: path, class: target === 'out' ? 'line' : 'line headed' }, parent);
    line.dataset.source = source; line.dataset.target = target;
  }
  for (const inner of box.items) {
    if (inner.item === 'in' || inner.item === 'out') continue;
    drawBox(inner, left + inner.x, top + inner.y, parent);
  }
}

function drawBox(box, x, y, parent) {
  const g = element('g', { class: box.items ? 'frame' : box.item < tree.V ? 'node' : 'group', tabindex: 0 }, parent);
  g.dataset.item = box.item;
  boxes.set(box.item, { x, y, w: box.w, h: box.h, g });
  const fill = box.item < tree.V ? DATA.colours[DATA.nodes[box.item].colour] : null;
  element('rect', { x, y, width: box.w, height: box.h, rx: 6, ...(fill ? { fill } : {}) }, g);
  if (box.items) {
    element('text', { x: x + 8, y: y + 14, class: 'header' }, g, `▾ ${tree.label(box.item)}`);
    drawGroup(box, x, y, parent);
    return;
  }
  box.texts.forEach((text, n) => element('text', {
    x: x + box.w / 2, y: y + 15 + 14 * n, class: n ? 'small' : '', 'text-anchor': 'middle',
  }, g, text));
}

function draw() {
  stage.replaceChildren();
  boxes = new Map();
  const box = groupBox(tree.root, lifted());
  size = [box.w, box.h];
  drawGroup(box, 0, 0, stage);
  mark();
}

function mark() {
  const around_marked = new Set([...marked].flatMap(item => [item, ...around(item)]));
  for (const [item, { g }] of boxes) {
    g.classList.toggle('hit', !open.has(item) && around_marked.has(item));
    g.classList.toggle('chosen', item === chosen);
  }
  for (const line of stage.querySelectorAll('.line')) {
    line.classList.toggle('lit', chosen !== null && [line.dataset.source, line.dataset.target].includes(String(chosen)));
  }
}

function move() {
  stage.setAttribute('transform', `translate(${view.x} ${view.y}) scale(${view.scale})`);
}

// All of the graph, or as much of its top as can be read.
function fit() {
  const { width, height } = svg.getBoundingClientRect(), margin = 24;
  const all = Math.min((width - 2 * margin) / size[0], (height - 2 * margin) / size[1], 1.4);
  view.scale = Math.max(all, Math.min(0.7, (width - 2 * margin) / size[0]), 0.4);
  const [first] = boxes.values(), wide = view.scale * size[0] > width;
  view.x = width / 2 - view.scale * (wide ? first.x + first.w / 2 : size[0] / 2);
  view.y = margin;
  move();
}

function zoom(factor, x, y) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 5), change = scale / view.scale;
  view = { scale, x: x - change * (x - view.x), y: y - change * (y - view.y) };
  move();
}

// Redraws while an item keeps its position on the screen.
function toggle(group) {
  const before = boxes.get(group), [x, y] = [before.x, before.y].map(value => value * view.scale);
  if (open.has(group)) open.delete(group); else open.add(group);
  draw();
  const after = boxes.get(group);
  view.x += x - after.x * view.scale; view.y += y - after.y * view.scale;
  move();
}

function reveal(item) {
  for (const group of around(item)) open.add(group);
  draw();
  const { width, height } = svg.getBoundingClientRect(), box = boxes.get(item);
  view.scale = Math.max(view.scale, 0.8);
  view.x = width / 2 - view.scale * (box.x + box.w / 2);
  view.y = height / 2 - view.scale * (box.y + box.h / 2);
  move();
  choose(item);
}

function html(name, parent, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function button(item, parent) {
  const node = DATA.nodes[item], made = html('button', parent, `${node.operator} `, 'link');
  html('small', made, node.layer || `node ${item}`);
  made.addEventListener('click', () => reveal(item));
}

function choose(item) {
  chosen = item;
  mark();
  facts.replaceChildren();
  if (item === null) return;
  const table = document.createElement('table');
  const row = (name, value) => { const line = html('tr', table); html('th', line, name); html('td', line, value); };
  if (item < tree.V) {
    const node = DATA.nodes[item];
    html('h2', facts, node.operator);
    row('layer', node.layer || 'no name'); row('node', item);
    if (node.kernel[0] && node.kernel[1]) row('kernel', times(node.kernel));
    row('input', times(node.input)); row('output', times(node.output));
    row('parameters', thousands(node.parameters) + (node.bias ? ', with bias' : ''));
    row('multiply-adds', thousands(node.products)); row('activations', thousands(node.activations));
  } else {
    const total = tree.sums.get(item);
    html('h2', facts, tree.label(item));
    row('operators', thousands(total.operators)); row('parameters', thousands(total.parameters));
    row('multiply-adds', thousands(total.products));
  }
  facts.append(table);
  if (item >= tree.V) return;
  for (const [words, items] of [['reads', reads[item]], ['is read by', readers[item]]]) {
    if (items.length) html('h3', facts, words);
    items.forEach(other => button(other, facts));
  }
}

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(word => word);
  const numbers = !words.length ? [] : DATA.nodes.flatMap((node, n) => {
    const text = `${node.operator} ${node.layer}`.toLowerCase();
    return words.every(word => text.includes(word)) ? [n] : [];
  });
  marked = new Set(numbers);
  mark();
  hits.replaceChildren();
  if (words.length) html('p', hits, `${thousands(numbers.length)} operators`);
  numbers.slice(0, MOST_HITS).forEach(item => button(item, hits));
  if (numbers.length > MOST_HITS) html('p', hits, `and ${thousands(numbers.length - MOST_HITS)} further operators`);
}

function show(name) {
  tree = makeTree(name);
  open = new Set();
  // Groups open from the outside in while what they show can be overlooked.
  const waiting = [...tree.children.get(tree.root)];
  let count = waiting.length;
  for (const item of waiting) {
    const children = tree.children.get(item);
    if (!children || count + children.length > DATA.few) continue;
    open.add(item);
    count += children.length;
    waiting.push(...children);
  }
  chosen = null;
  draw(); fit(); choose(null);
}

let pressed = null;
svg.addEventListener('pointerdown', event => { pressed = { x: event.clientX, y: event.clientY, moved: false }; });
svg.addEventListener('pointermove', event => {
  if (!pressed || !(event.buttons & 1)) return;
  const [dx, dy] = [event.clientX - pressed.x, event.clientY - pressed.y];
  if (!pressed.moved && Math.hypot(dx, dy) < 4) return;
  if (!pressed.moved) svg.setPointerCapture(event.pointerId);
  pressed = { x: event.clientX, y: event.clientY, moved: true };
  view.x += dx; view.y += dy;
  move();
});
svg.addEventListener('wheel', event => {
  event.preventDefault();
  const { left, top } = svg.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - left, event.clientY - top);
}, { passive: false });

function press(target) {
  const g = target.closest('[data-item]'), item = g ? Number(g.dataset.item) : null;
  if (item !== null && item >= tree.V) toggle(item);
  choose(item);
}
svg.addEventListener('click', event => { if (!pressed || !pressed.moved) press(event.target); });
svg.addEventListener('keydown', event => { if (event.key === 'Enter') press(event.target); });
document.addEventListener('keydown', event => {
  if (event.target === search) {
    if (event.key === 'Enter' && marked.size) reveal([...marked][0]);
    if (event.key === 'Escape') { search.value = ''; find(); search.blur(); }
  } else if (event.key === '/') { event.preventDefault(); search.focus(); }
});
search.addEventListener('input', find);
const centred = factor => { const { width, height } = svg.getBoundingClientRect(); zoom(factor, width / 2, height / 2); };
const buttons = {
  larger: () => centred(1.4), smaller: () => centred(1 / 1.4), fit,
  unfold: () => { tree.children.forEach((_, group) => { if (group !== tree.root) open.add(group); }); draw(); fit(); },
  fold: () => { open.clear(); draw(); fit(); },
};
for (const [name, act] of Object.entries(buttons)) document.getElementById(name).addEventListener('click', act);
for (const name of Object.keys(DATA.trees)) html('option', modes, name);
modes.value = DATA.first;
modes.addEventListener('change', () => show(modes.value));
show(DATA.first);
