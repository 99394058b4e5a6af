// Charts of the accelerator page, drawn from the page's own JSON. Nothing is computed here but scales.
(() => {
  'use strict';
  const {css, data, series, faint, number, draw} = window.orrery;
  const report = data('report');
  const thin = {color: () => css('grid'), drawBorder: false, tickLength: 4};

  // Throughput against power; the mark's area follows the cores' area.
  const front = () => {
    const point = d => ({x: d.tdp_W, y: d.workloads[0].throughput_per_s, design: d});
    const radius = c => c.raw ? Math.max(3, Math.min(14, Math.sqrt(c.raw.design.core_area_mm2) * .8)) : 4;
    const set = (label, designs, colour, more = {}) => ({label, data: designs.map(point), backgroundColor: faint(colour, .55), borderColor: colour,
      pointRadius: radius, pointHoverRadius: radius, ...more});
    const sets = [set('front', report.front, series(0)), set('this plan', [report.best], series(1), {pointStyle: 'rectRot'})];
    if (report.reference) sets.push(set('reference', [report.reference], series(2), {pointStyle: 'triangle'}));
    return {type: 'scatter', data: {datasets: sets}, options: {
      scales: {x: {grid: thin, title: {display: true, text: 'TDP, W'}, ticks: {callback: number}},
        y: {grid: thin, title: {display: true, text: `${report.workloads[0].name}, samples/s`}, ticks: {callback: number}}},
      plugins: {tooltip: {callbacks: {label: item => {
        const d = item.raw.design;
        return `${d.name}: ${number(item.raw.y)} samples/s, ${number(item.raw.x)} W, ${number(d.core_area_mm2)} mm²`;
      }}}}}};
  };

  const binds = () => {
    const parts = Object.keys(report.best.workloads[0].critical_path_by_s);
    return {type: 'bar', data: {labels: report.workloads.map(w => w.name),
      datasets: parts.map((part, i) => ({label: part, backgroundColor: series(i), data: report.best.workloads.map(w => w.critical_path_by_s[part] * 1e3)}))},
    options: {indexAxis: 'y', scales: {x: {stacked: true, grid: thin, title: {display: true, text: 'critical path, ms'}, ticks: {callback: number}},
      y: {stacked: true, grid: {display: false, drawBorder: false}}},
    plugins: {tooltip: {callbacks: {label: item => `${item.dataset.label}: ${number(item.raw)} ms`}}}}};
  };

  // A lane a core; operators without slack are dark.
  const cores = canvas => {
    const w = Number(canvas.dataset.workload), share = Number(canvas.dataset.share ?? 1);
    const matrix = report.best.point.matrix_cores, vector = report.best.point.vector_cores;
    const lanes = [...Array.from({length: matrix}, (_, i) => `matrix ${i}`), ...Array.from({length: vector}, (_, i) => `vector ${i}`)];
    const end = report.best.workloads[w].makespan_s * share * 1e3;
    const boxes = report.schedules[w].operators.flatMap(op => [['matrix_core', 0], ['vector_core', matrix]]
      .filter(([field]) => op[field] !== undefined).map(([field, from]) => ({x: op.start_s * 1e3, y: from + op[field], to: (op.start_s + op.duration_s) * 1e3, op})))
      .filter(b => b.x < end);
    const least = end / 4000;
    const bars = {beforeDatasetsDraw: chart => {
      const {x, y} = chart.scales, g = chart.ctx, h = (y.getPixelForValue(1) - y.getPixelForValue(0)) * .7;
      g.save();
      g.beginPath();
      g.rect(chart.chartArea.left, chart.chartArea.top, chart.chartArea.width, chart.chartArea.height);
      g.clip();
      for (const b of boxes) {
        const left = x.getPixelForValue(b.x), right = Math.max(left + .6, x.getPixelForValue(b.to));
        g.fillStyle = faint(series(b.y < matrix ? 0 : 1), b.op.slack_s <= 0 ? 1 : .45);
        g.fillRect(left, y.getPixelForValue(b.y) - h / 2, right - left, h);
      }
      g.restore();
    }};
    return {type: 'scatter',
      data: {datasets: [{label: 'operators', data: boxes.filter(b => b.to - b.x > least), pointRadius: 0, pointHitRadius: 8}]},
      options: {
        scales: {x: {min: 0, max: end, grid: thin, title: {display: true, text: 'ms'}, ticks: {callback: number}},
          y: {min: -.5, max: lanes.length - .5, reverse: true, grid: {display: false, drawBorder: false},
            ticks: {callback: v => lanes[v] ?? null}, afterBuildTicks: a => { a.ticks = lanes.map((_, i) => ({value: i})); }}},
        plugins: {legend: {display: false}, tooltip: {callbacks: {label: item =>
          `${item.raw.op.name}: ${number(item.raw.op.duration_s * 1e6)} µs from ${number(item.raw.x)} ms, slack ${number(item.raw.op.slack_s * 1e6)} µs`}}}},
      plugins: [bars]};
  };

  const makers = {front, binds, cores};
  document.querySelectorAll('canvas[data-chart]').forEach(canvas => draw(canvas, makers[canvas.dataset.chart]));
})();
