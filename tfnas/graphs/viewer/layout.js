'use strict';
// A layered layout of nested groups. Every open group is laid out by itself and is a box of the group around it.

const ROW_GAP = 30, BOX_GAP = 18, LINE_GAP = 10, PADDING = 14, HEADER = 20;
const SWEEPS = 8, MOST_POINTS = 30000;

// Rows of items from top to bottom, and the points by which lines pass the rows between their ends.
//   items: [{w, h, inX, outX}] in the order in which they run; edges: [[source, target]], numbers of items.
// Sets x and y of every item to its upper left corner; returns {width, height, lines}.
function layered(items, edges) {
  const order = topological(items.length, edges), rank = [];
  order.forEach((item, position) => { rank[item] = position; });
  const lines = edges.map(([a, b]) => ({ source: a, target: b, up: rank[a] > rank[b] }));
  const forward = lines.map(line => (line.up ? [line.target, line.source] : [line.source, line.target]));
  const layer = layers(items, order, forward);
  const vertices = items.map((item, number) => ({ w: item.w, layer: layer[number], item: number }));
  let budget = MOST_POINTS;
  const chains = forward.map(([a, b]) => {
    const chain = [a], between = layer[b] - layer[a] - 1;
    if (between > 0 && between <= budget) {
      budget -= between;
      for (let row = layer[a] + 1; row < layer[b]; row++) chain.push(vertices.push({ w: 0, layer: row, item: -1 }) - 1);
    }
    return [...chain, b];
  });
  const segments = chains.flatMap(chain => chain.slice(1).map((vertex, n) => [chain[n], vertex]));
  const rows = ordered(vertices, segments);
  const x = abscissae(rows, vertices, segments);
  const left = Math.min(0, ...vertices.map((vertex, n) => x[n] - vertex.w / 2).filter((_, n) => n < items.length));
  const tops = [];
  let y = 0;
  rows.forEach((row, number) => {
    const height = Math.max(0, ...row.map(n => (n < items.length ? items[n].h : 0)));
    tops.push({ top: y, height });
    row.forEach(n => {
      if (n >= items.length) return;
      items[n].x = x[n] - items[n].w / 2 - left;
      items[n].y = y + (height - items[n].h) / 2;
    });
    y += height + (number < rows.length - 1 ? ROW_GAP : 0);
  });
  lines.forEach((line, number) => {
    const chain = chains[number], points = [], first = items[chain[0]], last = items[chain[chain.length - 1]];
    points.push([first.x + first.outX, first.y + first.h]);
    for (const vertex of chain.slice(1, -1)) {
      const { top, height } = tops[vertices[vertex].layer];
      points.push([x[vertex] - left, top], [x[vertex] - left, top + height]);
    }
    points.push([last.x + last.inX, last.y]);
    line.points = line.up ? points.reverse() : points;
  });
  const right = Math.max(0, ...items.map(item => item.x + item.w), ...x.map(value => value - left));
  return { width: right, height: y, lines };
}

// Numbers of items, sources first; where groups read each other, the first of them goes first.
function topological(count, edges) {
  const missing = new Array(count).fill(0), readers = Array.from({ length: count }, () => []);
  for (const [a, b] of edges) { missing[b]++; readers[a].push(b); }
  const done = new Array(count).fill(false), order = [], ready = [];
  for (let n = count - 1; n >= 0; n--) if (!missing[n]) ready.push(n);
  let next = 0;
  while (order.length < count) {
    let item = ready.pop();
    if (item === undefined) {
      while (done[next]) next++;
      item = next;
    }
    if (done[item]) continue;
    done[item] = true;
    order.push(item);
    for (const reader of [...readers[item]].reverse()) if (--missing[reader] === 0 && !done[reader]) ready.push(reader);
  }
  return order;
}

// The row of every item: below all its sources; an item without sources stands right above its first reader.
function layers(items, order, edges) {
  const targets = items.map(() => []), fed = items.map(() => false), layer = items.map(() => 0);
  for (const [a, b] of edges) { targets[a].push(b); fed[b] = true; }
  for (const a of order) for (const b of targets[a]) layer[b] = Math.max(layer[b], layer[a] + 1);
  const bottom = Math.max(0, ...layer);
  items.forEach((item, n) => {
    if (item.last) layer[n] = bottom;
    else if (!fed[n] && !item.first && targets[n].length) layer[n] = Math.min(...targets[n].map(b => layer[b])) - 1;
  });
  return layer;
}

// Rows of vertices from left to right; sweeps of barycentres leave few crossings.
function ordered(vertices, segments) {
  const rows = Array.from({ length: 1 + Math.max(0, ...vertices.map(v => v.layer)) }, () => []);
  vertices.forEach((vertex, n) => rows[vertex.layer].push(n));
  const { above, below } = neighbours(vertices.length, segments);
  const place = new Array(vertices.length);
  const number = row => row.forEach((n, position) => { place[n] = position; });
  rows.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const near = sweep % 2 ? below : above;
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      const centre = new Map(row.map(n => [n, near[n].length ? mean(near[n].map(m => place[m])) : place[n]]));
      row.sort((a, b) => centre.get(a) - centre.get(b));
      number(row);
    }
  }
  return rows;
}

function neighbours(count, segments) {
  const above = Array.from({ length: count }, () => []), below = Array.from({ length: count }, () => []);
  for (const [a, b] of segments) { below[a].push(b); above[b].push(a); }
  return { above, below };
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// The x of every vertex: near its neighbours in the rows around, as far as the row leaves room.
function abscissae(rows, vertices, segments) {
  const { above, below } = neighbours(vertices.length, segments), x = new Array(vertices.length).fill(0);
  const apart = (a, b) => (vertices[a].w + vertices[b].w) / 2 + (vertices[a].w && vertices[b].w ? BOX_GAP : LINE_GAP);
  const settle = (row, near) => {
    const aims = row.map(n => (near[n].length ? mean(near[n].map(m => x[m])) : x[n]));
    const offsets = [0];
    for (let n = 1; n < row.length; n++) offsets.push(offsets[n - 1] + apart(row[n - 1], row[n]));
    // Lines that go straight on weigh more than boxes, so that they do not zigzag.
    const weights = row.map(n => (vertices[n].w ? 1 : 4));
    isotonic(aims.map((aim, n) => aim - offsets[n]), weights).forEach((value, n) => { x[row[n]] = value + offsets[n]; });
  };
  rows.forEach(row => settle(row, above));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const near = sweep % 2 ? above : below;
    for (const row of sweep % 2 ? rows : [...rows].reverse()) settle(row, near);
  }
  return x;
}

// The nearest values that never fall, by pooling neighbours that would.
function isotonic(values, weights) {
  const pools = [];
  values.forEach((value, n) => {
    let pool = { value, weight: weights[n], count: 1 };
    while (pools.length && pools[pools.length - 1].value > pool.value) {
      const before = pools.pop(), weight = before.weight + pool.weight;
      pool = {
        value: (before.value * before.weight + pool.value * pool.weight) / weight, weight, count: before.count + pool.count,
      };
    }
    pools.push(pool);
  });
  return pools.flatMap(pool => new Array(pool.count).fill(pool.value));
}
