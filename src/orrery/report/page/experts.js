// Charts of the experts page, drawn from the page's own JSON. Nothing is computed here but scales.
(() => {
  'use strict';
  const {css, data, series, faint, number, draw} = window.orrery;
  const report = data('report');
  const thin = {color: () => css('grid'), drawBorder: false, tickLength: 4};

  // Layers down, GPUs across; the colour says how far a cell lies above or below the mean of its layer (load) or of all (traffic).
  const heat = canvas => {
    const candidate = report.candidates[canvas.dataset.candidate], rows = candidate[canvas.dataset.field];
    const load = canvas.dataset.field === 'load_tokens', mean = r => r.reduce((s, v) => s + v, 0) / r.length;
    const all = mean(rows.map(mean)), ratio = l => v => v / ((load ? mean(rows[l]) : all) || 1);
    const points = rows.flatMap((row, l) => row.map((value, g) => ({x: g, y: l, value, ratio: ratio(l)(value)})));
    const cells = {beforeDatasetsDraw: chart => {
      const {x, y} = chart.scales, g = chart.ctx, w = x.getPixelForValue(1) - x.getPixelForValue(0), h = y.getPixelForValue(1) - y.getPixelForValue(0);
      for (const p of points) {
        const away = p.ratio - 1, colour = css(away > 0 ? 's2' : 's1');
        g.fillStyle = faint(colour, Math.min(1, .06 + Math.abs(away) * (load ? 1.6 : .9)));
        g.fillRect(x.getPixelForValue(p.x) - w / 2 + .5, y.getPixelForValue(p.y) - h / 2 + .5, w - 1, h - 1);
      }
    }};
    return {
      type: 'scatter',
      data: {datasets: [{label: candidate.name, data: points, pointRadius: 0, pointHitRadius: 12}]},
      options: {
        scales: {
          x: {min: -.5, max: rows[0].length - .5, grid: {display: false, drawBorder: false}, title: {display: true, text: 'GPU'},
            ticks: {stepSize: 1, autoSkip: true, maxRotation: 0, callback: v => Number.isInteger(v) ? v : null}, afterBuildTicks: a => { a.ticks = rows[0].map((_, i) => ({value: i})); }},
          y: {min: -.5, max: rows.length - .5, reverse: true, grid: {display: false, drawBorder: false}, title: {display: true, text: 'layer'},
            ticks: {autoSkip: true, callback: v => report.routing.layer_ids[v] ?? null}, afterBuildTicks: a => { a.ticks = rows.map((_, i) => ({value: i})); }}},
        plugins: {legend: {display: false}, tooltip: {callbacks: {label: item => {
          const p = item.raw;
          return `layer ${report.routing.layer_ids[p.y]}, GPU ${p.x}: ${load ? number(p.value) + ' tokens' : number(p.value / 1e6) + ' MB'}, ${p.ratio.toFixed(2)} × mean`;
        }}}}},
      plugins: [cells]};
  };

  const line = (label, points, colour, more = {}) => ({label, data: points, borderColor: colour, backgroundColor: colour, borderWidth: 2, pointRadius: 2,
    showLine: true, stepped: true, ...more});
  const gap = () => ({
    type: 'scatter',
    data: {datasets: [line('plan', report.progress.filter(p => p.objective !== null).map(p => ({x: p.seconds, y: p.objective})), series(0)),
      line('proven bound', report.progress.filter(p => p.bound !== null).map(p => ({x: p.seconds, y: p.bound})), series(1), {borderDash: [5, 4]})]},
    options: {scales: {x: {grid: thin, title: {display: true, text: 'seconds'}, ticks: {callback: number}},
      y: {grid: thin, title: {display: true, text: report.objective_name}, ticks: {callback: number}}},
    plugins: {tooltip: {callbacks: {label: item => `${item.dataset.label}: ${number(item.raw.y)} after ${number(item.raw.x)} s`}}}}});

  const sensitivity = () => {
    // What the plan trades balance for: crossings where tokens stay, bytes where they go home, else time.
    const known = field => report.sensitivity.every(s => s[field] !== null);
    const [field, scale, unit] = report.dispatch === 'stay' && known('cross_gpu_fraction') ? ['cross_gpu_fraction', 100, 'leaves its GPU, %']
      : known('all_to_all_bytes') ? ['all_to_all_bytes', 1e-6, 'all-to-all, MB'] : ['step_s', 1e3, 'expert layers, ms'];
    const y = s => s[field] * scale;
    // A setting that moves neither is told by the table alone.
    const settings = [...new Set(report.sensitivity.map(s => s.setting))].filter(setting =>
      new Set(report.sensitivity.filter(s => s.setting === setting).map(s => `${s.max_over_mean_load} ${y(s)}`)).size > 1);
    return {
      type: 'scatter',
      data: {datasets: settings.map((setting, i) => ({label: setting, backgroundColor: series(i), borderColor: series(i), showLine: true, borderWidth: 1.5,
        data: report.sensitivity.filter(s => s.setting === setting).map(s => ({x: s.max_over_mean_load, y: y(s), row: s})),
        pointRadius: c => c.raw?.row.chosen ? 7 : 4, pointStyle: c => c.raw?.row.chosen ? 'rectRot' : 'circle'}))},
      options: {scales: {x: {grid: thin, title: {display: true, text: 'load, max/mean'}, ticks: {callback: v => v.toFixed(2)}},
        y: {grid: thin, title: {display: true, text: unit}, ticks: {callback: number}}},
      plugins: {tooltip: {callbacks: {label: item => `${item.raw.row.setting} ${number(item.raw.row.value)}: ${item.raw.x.toFixed(3)}, ${number(item.raw.y)}`}}}}};
  };

  const makers = {heat, gap, sensitivity};
  document.querySelectorAll('canvas[data-chart]').forEach(canvas => draw(canvas, makers[canvas.dataset.chart]));
})();
