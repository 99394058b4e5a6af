// What every page of a report does: folds the tables of numbers below charts, sorts tables, copies the command, and gives charts
// the colours and type of the page. Everything here is an addition: the page reads without it.
window.orrery = (() => {
  'use strict';
  document.querySelectorAll('details.numbers').forEach(d => { d.open = false; });

  // Rows sort by data-sort, numbers as numbers; a second press turns the order; refused rows stay last.
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell ? cell.dataset.sort : undefined;
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b)) : x - y;
  };
  document.querySelectorAll('table.sortable').forEach(table => {
    const headings = [...table.tHead.rows[0].cells];
    const sort = (column, order) => {
      headings.forEach(h => h.removeAttribute('aria-sort'));
      headings[column].setAttribute('aria-sort', order);
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => {
        const refused = a.classList.contains('refused') - b.classList.contains('refused');
        if (refused) return refused;
        const x = key(a, column), y = key(b, column);
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return order === 'ascending' ? compare(x, y) : compare(y, x);
      }));
    };
    // Where rows stand as cards there are no headings to press: a choice above them.
    const choice = document.createElement('p'), label = document.createElement('label'), select = document.createElement('select');
    choice.className = 'sort-choice';
    label.append('Sort by ', select);
    choice.append(label);
    select.append(new Option('as asked', ''));
    headings.forEach((heading, column) => ['descending', 'ascending'].forEach(order => {
      if (!heading.classList.contains('num')) return;
      select.append(new Option(`${heading.textContent}, ${order === 'ascending' ? 'least' : 'most'} first`, `${column} ${order}`));
    }));
    select.addEventListener('change', () => {
      const [column, order] = select.value.split(' ');
      if (order) sort(Number(column), order);
    });
    table.parentElement.before(choice);
    headings.forEach((heading, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'sort';
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener('click', () => {
        const before = heading.getAttribute('aria-sort');
        const first = heading.classList.contains('num') ? 'descending' : 'ascending';
        const order = before === null ? first : before === 'ascending' ? 'descending' : 'ascending';
        sort(column, order);
      });
    });
  });

  const command = document.getElementById('command');
  if (command && navigator.clipboard) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.addEventListener('click', () => navigator.clipboard.writeText(command.textContent).then(
      () => { button.textContent = 'Copied'; setTimeout(() => { button.textContent = 'Copy'; }, 1500); }, () => {}));
    command.closest('.command').append(button);
  }

  const css = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  const data = id => JSON.parse(document.getElementById(id).textContent);
  const series = i => css('s' + (i % 10 + 1));
  const faint = (colour, alpha) => colour + Math.round(alpha * 255).toString(16).padStart(2, '0');
  const number = v => v === null || !Number.isFinite(v) ? '–'
    : Math.abs(v) >= 100 || v === 0 ? v.toLocaleString('en', {maximumFractionDigits: 0}) : String(Number(v.toPrecision(3)));

  const charts = [], redraws = [];
  const theme = () => {
    Chart.defaults.color = css('muted');
    Chart.defaults.borderColor = css('grid');
    Chart.defaults.font.family = css('sans');
    Chart.defaults.font.size = 12;
    Chart.defaults.animation = false;
    Chart.defaults.maintainAspectRatio = false;
    Object.assign(Chart.defaults.plugins.legend, {position: 'bottom', align: 'start'});
    Object.assign(Chart.defaults.plugins.legend.labels, {boxWidth: 9, boxHeight: 9, padding: 14, usePointStyle: true});
    Object.assign(Chart.defaults.plugins.tooltip, {backgroundColor: css('ink'), titleColor: css('paper'), bodyColor: css('paper'),
      footerColor: css('paper'), padding: 10, cornerRadius: 6, boxPadding: 4, displayColors: false});
  };
  // Draws make() on a canvas when it comes near the window, and again when the colour scheme changes or the result is called.
  const waiting = new Map();
  const drawNow = canvas => { const again = waiting.get(canvas); if (again) { waiting.delete(canvas); near.unobserve(canvas); again(); } };
  const near = new IntersectionObserver(seen => seen.forEach(s => { if (s.isIntersecting) drawNow(s.target); }), {rootMargin: '600px'});
  const drawAll = () => [...waiting.keys()].forEach(drawNow);
  addEventListener('beforeprint', drawAll);
  const draw = (canvas, make) => {
    let chart = null;
    const now = () => {
      if (chart) { charts.splice(charts.indexOf(chart), 1); chart.destroy(); }
      chart = new Chart(canvas, make(canvas));
      charts.push(chart);
    };
    const again = () => { if (!waiting.has(canvas)) now(); };
    waiting.set(canvas, now);
    near.observe(canvas);
    redraws.push(again);
    return again;
  };
  theme();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { theme(); redraws.forEach(again => again()); });
  return {css, data, series, faint, number, draw, drawAll, charts, redraws};
})();
