// The page of an answer: KINDS (motifs), MAP (points of the index), and elements with data-rank.
const told = document.getElementById('told');
const tell = text => { told.textContent = text; };

const choose = rank => document.querySelectorAll('[data-rank]').forEach(
  element => element.classList.toggle('chosen', element.dataset.rank === rank));

document.querySelectorAll('.strip span').forEach(element => element.addEventListener('mouseenter', () => {
  const kind = element.dataset.kind;
  document.querySelectorAll('.strip span').forEach(other =>
    other.classList.toggle('lit', kind !== '-1' && other.dataset.kind === kind));
  tell(kinds[kind] || 'operators that are not shared');
}));

// The map: one circle per architecture; the wheel zooms, dragging moves, a click lights a family.
const chart = document.querySelector('svg.map');
const draw = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  chart.insertBefore(element, chart.querySelector('path'));
  return element;
};
chart.querySelector('path').setAttribute('transform', `translate(${map.query.join(' ')})`);
const circles = map.points.map(([x, y, family, name], row) => {
  const rank = map.ranks[row];
  const circle = draw('circle', rank ? {cx: x, cy: y, class: 'relative', 'data-rank': rank} : {cx: x, cy: y});
  circle.addEventListener('mouseenter', () => tell(`${name} (${map.families[family] || 'no family'})`));
  circle.addEventListener('click', () => {
    circles.forEach((other, number) => other.classList.toggle('family', map.points[number][2] === family));
    if (rank) choose(`${rank}`);
  });
  return circle;
});
circles.filter(circle => circle.dataset.rank).forEach(circle => chart.insertBefore(circle, chart.querySelector('path')));
map.labels.forEach(([x, y, family]) => { draw('text', {x, y}).textContent = map.families[family]; });

const size = chart.viewBox.baseVal.width;
let box = [0, 0, size];
const show = () => {
  chart.setAttribute('viewBox', `${box[0]} ${box[1]} ${box[2]} ${box[2]}`);
  chart.style.setProperty('--k', box[2] / size);
};
const position = event => {
  const frame = chart.getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
};
chart.addEventListener('wheel', event => {
  event.preventDefault();
  const [x, y] = position(event), side = Math.min(size, Math.max(size / 40, box[2] * (event.deltaY < 0 ? .8 : 1.25)));
  box = [box[0] + x * (box[2] - side), box[1] + y * (box[2] - side), side];
  show();
}, {passive: false});
let held = null;
chart.addEventListener('pointerdown', event => { held = position(event); });
window.addEventListener('pointerup', () => { held = null; });
chart.addEventListener('pointermove', event => {
  if (!held) return;
  const now = position(event);
  box = [box[0] - (now[0] - held[0]) * box[2], box[1] - (now[1] - held[1]) * box[2], box[2]];
  held = now;
  show();
});

document.querySelectorAll('[data-rank]').forEach(element =>
  element.addEventListener('click', () => choose(element.dataset.rank)));
choose('1');
