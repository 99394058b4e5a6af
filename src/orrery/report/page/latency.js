// Charts of the latency page, drawn from the page's own JSON. Nothing is computed here but scales.
(() => {
  'use strict';
  const {css, data, series, faint, number, draw, redraws} = window.orrery;
  const report = data('report'), validation = data('validation');
  const devices = report.devices, phases = ['prefill', 'decode', 'train'];
  // What is drawn of a device that the model does not fit on would never run: left out where another fits.
  const fitting = devices.some(d => d.memory.fits), runs = d => d.memory.fits || !fitting;
  const forecast = devices.filter(d => runs(d) && phases.some(p => d[p]));
  const narrow = () => matchMedia('(max-width: 560px)').matches;

  const dotted = {boxWidth: 6, boxHeight: 6};  // legend marks of charts with dots
  const thin = {color: () => css('grid'), drawBorder: false, tickLength: 4};
  // Labels of a log axis: 1, 10, 100 and, on short axes, 2 and 5 between.
  const logTick = (value, index, ticks) => {
    const mantissa = value / 10 ** Math.floor(Math.log10(value) + 1e-9), lead = Math.round(mantissa);
    if (Math.abs(mantissa - lead) > 1e-6) return null;
    const decades = Math.log10(ticks[ticks.length - 1].value / ticks[0].value);
    return lead === 1 || (decades < 2.2 && (lead === 2 || lead === 5)) ? number(value) : null;
  };
  const logAxis = (title, more = {}) => ({type: 'logarithmic', grid: thin, title: {display: true, text: title},
    ticks: {callback: logTick, maxRotation: 0, autoSkip: false}, ...more});

  // The same colour for the same name in every chart; names that are not listed follow.
  const order = ['weights', 'KV cache', 'activations', 'logits', 'gradients', 'optimizer', 'workspace'];
  const classOrder = ['linear', 'attention', 'norms and elementwise', 'engine', 'experts', 'collectives', 'optimizer'];
  const place = (known, name) => { if (!known.includes(name)) known.push(name); return known.indexOf(name); };

  // Stacked bars, one a device: rows of {label, parts: {name: value}}, in the order and colours of `known`.
  const stacked = (rows, unit, known, marks) => {
    const names = [...new Set(rows.flatMap(r => Object.keys(r.parts)))].sort((a, b) => place(known, a) - place(known, b));
    const short = label => narrow() && label.length > 15 ? label.slice(0, 9) + '…' + label.slice(-5) : label;
    return {
      type: 'bar',
      data: {labels: rows.map(r => short(r.label)), datasets: names.map(name => ({label: name, data: rows.map(r => r.parts[name] ?? 0),
        backgroundColor: series(place(known, name)), barThickness: 16, borderColor: css('paper'), borderWidth: {right: 1}, borderSkipped: false, pointStyle: 'rectRounded'}))},
      options: {
        indexAxis: 'y',
        scales: {x: {stacked: true, grid: thin, title: {display: true, text: unit}, ticks: {callback: number}},
          y: {stacked: true, grid: {display: false, drawBorder: false}, ticks: {color: css('ink')}}},
        interaction: {mode: 'nearest', intersect: true},
        plugins: {tooltip: {callbacks: {title: items => rows[items[0].dataIndex].label,
          label: item => `${item.dataset.label}: ${number(item.raw)} ${unit}`}}}},
      plugins: marks ? [{afterDatasetsDraw: chart => {
        const g = chart.ctx;
        g.save();
        g.fillStyle = css('ink');
        chart.getDatasetMeta(0).data.forEach((bar, i) => {
          if (marks[i] == null) return;
          const x = chart.scales.x.getPixelForValue(marks[i]);
          if (x <= chart.chartArea.right + 1) g.fillRect(x - 1, bar.y - 12, 2, 24);
        });
        g.restore();
      }}] : []};
  };

  const memory = () => {
    const rows = devices.map(d => ({label: d.label, parts: Object.fromEntries(d.memory.components.map(c => [c.component, c.bytes / 1e9]))}));
    const marks = devices.map(d => d.memory.available_bytes / 1e9);
    const config = stacked(rows, 'GB', order, marks);
    config.options.scales.x.suggestedMax = Math.max(...marks);
    return config;
  };

  const classes = canvas => {
    const phase = canvas.dataset.phase;
    const rows = forecast.filter(d => d[phase]).map(d => ({label: d.label,
      parts: Object.fromEntries(d[phase].classes.map(c => [c.name, c.time_s * 1e3]))}));
    return stacked(rows, 'ms', classOrder);
  };

  // The device that the choices show: at first the one with the most tokens per second, or the least time.
  const speed = d => d.tokens_per_second_per_device?.value ?? Math.max(...phases.map(p => d[p]?.tokens_per_second ?? 0));
  let chosen = devices.indexOf([...forecast].sort((a, b) => speed(b) - speed(a))[0]);

  const kSeen = .002;  // of the phase: an operator that takes less is not drawn
  const roofline = () => {
    const device = devices[chosen], peaks = Object.entries(device.device.peak_flops_per_second);
    const used = report.model.type, peak = device.device.peak_flops_per_second[used] ?? Math.max(...peaks.map(p => p[1]), 1);
    const bandwidth = device.device.memory_bandwidth_bytes_per_second, reached = device.device.achievable_bandwidth_bytes_per_second;
    const dots = phases.filter(p => device[p]).map((phase, i) => ({
      label: phase, type: 'scatter', pointStyle: 'circle', backgroundColor: faint(series(i), .75), borderColor: css('card'), borderWidth: 1, order: 0,
      data: device[phase].operators.filter(o => o.intensity_flops_per_byte > 0 && o.rate_flops_per_second > 0 && o.total_s > kSeen * device[phase].time.value_s).map(o => ({
        x: o.intensity_flops_per_byte, y: o.rate_flops_per_second / 1e12, operator: o, phase: device[phase]})),
      pointRadius: c => c.raw ? 3 + 17 * Math.sqrt(Math.min(1, c.raw.operator.total_s / c.raw.phase.time.value_s)) : 3,
      pointHoverRadius: c => c.raw ? 4 + 17 * Math.sqrt(Math.min(1, c.raw.operator.total_s / c.raw.phase.time.value_s)) : 4}));
    const xs = dots.flatMap(d => d.data.map(p => p.x)), ridge = peak / bandwidth;
    const low = Math.min(...xs, ridge / 10) / 2, high = Math.max(...xs, ridge * 4) * 2;
    const roof = (label, rate, top, dash) => ({label, type: 'line', order: 1, pointRadius: 0, pointHitRadius: 0, borderColor: css('s8'), borderWidth: 1.5,
      borderDash: dash, pointStyle: 'line', data: [low, top / rate, high].map(x => ({x, y: Math.min(top, x * rate) / 1e12}))});
    const roofs = [roof(`data sheet, ${used}`, bandwidth, peak, [])];
    if (reached) roofs.push(roof('reached in microbenchmarks', reached, device.device.achievable_flops_per_second[used] ?? peak, [4, 4]));
    const lowest = Math.min(...dots.flatMap(d => d.data.map(p => p.y)), low * bandwidth / 1e12);
    return {
      data: {datasets: [...dots, ...roofs]},
      options: {
        scales: {x: logAxis('FLOP per byte of memory traffic', {min: low, max: high}),
          y: logAxis('TFLOP/s', {min: lowest / 2, max: peak / 1e12 * 2})},
        plugins: {legend: {labels: dotted}, tooltip: {filter: item => item.raw.operator, callbacks: {
          title: items => items[0]?.raw.operator.name, label: ({raw: {operator: o}}) => [`${o.kind} ${o.shape}`,
            `${number(o.time_s * 1e6)} µs each, ${o.count} times`, `${number(o.rate_flops_per_second / 1e12)} TFLOP/s at ${number(o.intensity_flops_per_byte)} FLOP/B`,
            `bound by ${o.bound}`]}}}},
      plugins: [{afterDatasetsDraw: chart => label(chart, dots.length)}]};
  };
  // Names beside the largest dots of each phase: right, left, above or below, where nothing else stands.
  const label = (chart, phaseCount) => {
    const g = chart.ctx, area = chart.chartArea, taken = [];
    const apart = (a, b) => a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3];
    const points = [];
    for (let i = 0; i < phaseCount; ++i) {
      chart.getDatasetMeta(i).data.forEach((p, n) => {
        const r = p.options.radius;
        taken.push([p.x - r, p.y - r, p.x + r, p.y + r]);
        points.push({p, r, i, o: chart.data.datasets[i].data[n].operator});
      });
    }
    g.save();
    g.font = `12px ${css('sans')}`;
    g.fillStyle = css('ink');
    Object.assign(g, {strokeStyle: css('paper'), lineWidth: 4, lineJoin: 'round'});
    for (let i = 0; i < phaseCount; ++i) {
      const largest = points.filter(q => q.i === i).sort((a, b) => b.o.total_s - a.o.total_s).slice(0, narrow() ? 2 : 4);
      for (const {p, r, o} of largest) {
        const w = g.measureText(o.name).width;
        const places = [[p.x + r + 5, p.y + 4], [p.x - r - 5 - w, p.y + 4], [p.x - w / 2, p.y - r - 5], [p.x - w / 2, p.y + r + 14]];
        const place = places.find(([x, y]) => {
          const box = [x, y - 11, x + w, y + 3];
          return x >= area.left && x + w <= area.right && y - 11 >= area.top && y + 3 <= area.bottom && taken.every(t => apart(box, t));
        });
        if (!place) continue;
        taken.push([place[0] - 4, place[1] - 13, place[0] + w + 4, place[1] + 5]);
        g.strokeText(o.name, ...place);  // a halo: the roofs run through
        g.fillText(o.name, ...place);
      }
    }
    g.restore();
  };

  const curve = canvas => {
    const {curve: list, x} = canvas.dataset, most = 8;
    const shown = forecast.filter(d => d[list].length).sort((a, b) => speed(b) - speed(a)).slice(0, most);
    const datasets = shown.flatMap(d => {
      const colour = series(devices.indexOf(d)), points = f => d[list].map(p => ({x: p[x], y: f(p) * 1e3, point: p}));
      const edge = {pointRadius: 0, pointHitRadius: 0, borderWidth: 0, backgroundColor: faint(colour, .11), edge: true};
      return [{label: d.label, data: points(p => p.time.value_s), borderColor: colour, backgroundColor: colour, borderWidth: 2, pointRadius: 2.5,
        pointStyle: 'circle', tension: .15},
        {...edge, label: '', data: points(p => p.time.low_s), fill: '+1'}, {...edge, label: '', data: points(p => p.time.high_s), fill: false}];
    });
    const low = Math.min(...shown.flatMap(d => d[list].map(p => p.time.low_s))) * 1e3, high = Math.max(...shown.flatMap(d => d[list].map(p => p.time.high_s))) * 1e3;
    return {type: 'line', data: {datasets}, options: {
      scales: {x: logAxis(x === 'batch' ? 'sequences at once' : 'tokens of context', {min: Math.min(...shown.map(d => d[list][0][x]))}),
        y: logAxis('ms per step', {min: low / 1.15, max: high * 1.15})},
      interaction: {mode: 'nearest', intersect: false},
      plugins: {legend: {labels: {...dotted, filter: item => item.text}}, tooltip: {filter: item => !item.dataset.edge, callbacks: {
        title: items => items[0]?.dataset.label, label: ({raw}) => [`${number(raw.x)} ${x === 'batch' ? 'sequences' : 'tokens of context'}`,
          `${number(raw.y)} ms (${number(raw.point.time.low_s * 1e3)} to ${number(raw.point.time.high_s * 1e3)})`,
          `${number(raw.point.tokens_per_second)} tokens/s`]}}}}};
  };

  // Predicted over measured, on a log axis: where a forecast is twice or half as long is as far from 1. Bands as thin lines.
  const agreement = canvas => {
    const rows = validation.series.filter(s => s.architecture === canvas.dataset.architecture);
    const dots = rows.map((s, i) => ({label: `${s.what}, ${s.device}`, type: 'scatter', backgroundColor: faint(series(i), .65), pointRadius: 2.4, order: 1,
      pointStyle: 'circle', data: s.points_s.map(([measured, predicted, low, high]) => ({x: measured * 1e6, y: predicted / measured,
        low: low / measured, high: high / measured, predicted, lowest: low, highest: high}))}));
    const xs = dots.flatMap(d => d.data.map(p => p.x)), ys = dots.flatMap(d => d.data.flatMap(p => [p.y, 1 / p.y])).sort((a, b) => a - b);
    const low = Math.min(...xs) / 1.3, high = Math.max(...xs) * 1.3, reach = Math.min(8, Math.max(2, ys[Math.floor(.99 * ys.length)] * 1.1));
    const equal = {label: 'as measured', type: 'line', order: 0, data: [{x: low, y: 1}, {x: high, y: 1}], pointRadius: 0, pointHitRadius: 0,
      borderColor: css('ink'), borderWidth: 1, pointStyle: 'line'};
    return {data: {datasets: [...dots, equal]}, options: {
      scales: {x: logAxis('measured, µs', {min: low, max: high}), y: {type: 'logarithmic', grid: thin, min: 1 / reach, max: reach,
        title: {display: true, text: 'predicted ÷ measured'}, afterBuildTicks: axis => { axis.ticks = [.125, .25, .5, .7, .85, 1, 1.18, 1.4, 2, 4, 8]
          .filter(v => v >= axis.min && v <= axis.max && (reach < 3 || ![.85, 1.18].includes(v))).map(value => ({value})); },
        ticks: {callback: v => String(v), autoSkip: false}}},
      plugins: {legend: {display: false}, tooltip: {filter: item => item.datasetIndex < dots.length, callbacks: {label: ({raw, dataset}) => [dataset.label,
        `measured ${number(raw.x)} µs`, `predicted ${number(raw.predicted * 1e6)} µs (${number(raw.lowest * 1e6)} to ${number(raw.highest * 1e6)})`]}}}},
      plugins: [{beforeDatasetsDraw: chart => {
        const g = chart.ctx, y = v => chart.scales.y.getPixelForValue(v);
        g.save();
        g.beginPath();
        g.rect(chart.chartArea.left, chart.chartArea.top, chart.chartArea.width, chart.chartArea.height);
        g.clip();
        dots.forEach((d, i) => {
          g.strokeStyle = faint(series(i), .22);
          chart.getDatasetMeta(i).data.forEach((p, n) => {
            g.beginPath();
            g.moveTo(p.x, y(d.data[n].low));
            g.lineTo(p.x, y(d.data[n].high));
            g.stroke();
          });
        });
        g.restore();
      }}]};
  };

  // One layer as boxes on a track: text, so that it needs no canvas.
  const timelines = () => {
    const root = document.getElementById('timelines');
    if (!root || chosen < 0) return;
    root.replaceChildren();
    const add = (parent, tag, name, text) => {
      const element = document.createElement(tag);
      if (name) element.className = name;
      if (text !== undefined) element.textContent = text;
      parent.append(element);
      return element;
    };
    for (const phase of phases) {
      const line = devices[chosen][phase]?.layer_timeline;
      if (!line?.events.length) continue;
      const end = Math.max(...line.events.map(e => e.start_s + e.duration_s));
      const box = add(root, 'div', 'timeline'), title = add(box, 'h3', '', phase[0].toUpperCase() + phase.slice(1) + ' ');
      add(title, 'span', '', `${number(end * 1e6)} µs a layer`);
      line.lanes.forEach((lane, i) => {
        if (!line.events.some(e => e.lane === i)) return;
        const row = add(box, 'div', 'lane');
        add(row, 'div', '', lane);
        const track = add(row, 'div', 'track');
        for (const e of line.events.filter(e => e.lane === i)) {
          const share = e.duration_s / end;
          const piece = add(track, 'span', '', share > .06 ? line.names[e.name] : '');
          piece.title = `${line.names[e.name]}: ${number(e.duration_s * 1e6)} µs from ${number(e.start_s * 1e6)} µs`;
          piece.style.cssText = `left:${100 * e.start_s / end}%;width:${100 * share}%;background:${series(e.name)};${share > .03 ? '' : 'padding:0'}`;
        }
      });
      const axis = add(box, 'div', 'axis');
      [0, .25, .5, .75, 1].forEach(f => add(axis, 'span', '', `${number(f * end * 1e6)} µs`));
      const legend = add(box, 'ul', 'legend');
      [...new Set(line.events.map(e => e.name))].forEach(n => {
        const item = add(legend, 'li', '');
        add(item, 'i', '').style.background = series(n);
        item.append(line.names[n]);
      });
    }
  };

  const makers = {memory, classes, roofline, curve, validation: agreement};
  const byChoice = [];
  document.querySelectorAll('canvas[data-chart]').forEach(canvas => {
    const again = draw(canvas, makers[canvas.dataset.chart]);
    if (canvas.dataset.chart === 'roofline') byChoice.push(again);
  });
  redraws.push(timelines);
  byChoice.push(timelines);
  timelines();
  const choices = [...document.querySelectorAll('select.device-choice')];
  choices.forEach(select => {
    select.value = String(chosen);
    select.addEventListener('change', () => {
      chosen = Number(select.value);
      choices.forEach(other => { other.value = select.value; });
      byChoice.forEach(again => again());
    });
  });
})();
