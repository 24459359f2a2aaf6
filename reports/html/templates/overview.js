"use strict";
// Charts are drawn by Vega from the rows of the chosen key; the table of the same key is shown.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const selects = [...document.querySelectorAll("select")];
  const one = document.getElementById("one"), other = document.getElementById("other");
  const keyOf = choices => choices.map(name => document.getElementById(name).value).join("|");
  const views = new Map();

  function drawChart(chart) {
    const rows = chart.rows[keyOf(chart.choices)] || [];
    const place = document.getElementById(chart.id), empty = !rows.some(row => row.value);
    place.hidden = empty;
    place.nextElementSibling.hidden = !empty;
    if (empty) return Promise.resolve();
    const known = views.get(chart.id);
    if (known) return known.then(view => view.data("rows", rows).resize().runAsync());
    const spec = { ...chart.spec, datasets: { rows } };
    const options = { renderer: "svg", actions: false };
    views.set(chart.id, vegaEmbed(`#${chart.id}`, spec, options).then(result => result.view));
    return views.get(chart.id);
  }

  function showTables() {
    for (const table of document.querySelectorAll(".keyed")) {
      const choices = table.dataset.choices.split(" ").filter(Boolean);
      table.hidden = table.dataset.key !== keyOf(choices);
    }
    const district = document.getElementById("district");
    const name = district ? district.selectedOptions[0].textContent : "";
    for (const place of document.querySelectorAll(".where")) place.textContent = `（${name}）`;
    const shown = document.getElementById("shown");
    if (shown) shown.textContent = `带“（${name}）”的图和其下的数字随所选区县改变。`;
  }

  function refuseSameTrait() {
    if (!one) return;
    for (const option of other.options) option.disabled = option.value === one.value;
    if (other.value === one.value) other.value = "";
  }

  function update(changed) {
    refuseSameTrait();
    showTables();
    const concerned = charts.filter(chart => !changed || chart.choices.includes(changed));
    return Promise.all(concerned.map(drawChart));
  }

  for (const select of selects) select.addEventListener("change", () => {
    window.drawn = update(select.id === "other" ? "one" : select.id);
  });
  if (other) other.selectedIndex = Math.min(2, other.options.length - 1);
  window.drawn = update();
})();
