// A renderer of statements that knows docs/reference/statements.md and nothing of our code.
function renderStatement(row, texts) {
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  const say = (name, values = {}) => fill(texts.sentences[name], values);
  const plain = number => String(number).includes(".") ? String(number).replace(/\.?0+$/, "") : String(number);
  const byCode = list => Object.fromEntries(list.map(one => [one.code, one]));
  const indicators = byCode(texts.indicators), sums = byCode(texts.sums), lines = [];
  const cells = text => [...text].reduce((sum, c) => sum + (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(c) ? 2 : 1), 0);
  const padded = title => title + " ".repeat(Math.max(1, 16 - cells(title)));
  const right = points => String(points).padStart(8);

  function value(name) {
    const [fact, key] = name.split("/");
    if (key !== undefined) {
      const found = (row.facts[fact] || []).find(one => one.key === key);
      return plain(found ? found.points : "0");
    }
    const given = row.facts[fact], words = texts.facts[fact], put = texts.values;
    if (given === null || given === undefined) return put.unknown;
    if (words.form === "number") return plain(given);
    if (words.form === "yes_no") return given ? put.yes : put.no;
    if (words.form === "level") return words.levels[given] || given;
    if (words.form === "date" || words.form === "month") {
      const [year, month, day] = given.split("-").map(Number);
      return fill(put[words.form], { year, month, day });
    }
    if (["by_year", "by_key", "children"].includes(words.form)) {
      const entries = given.map(one => fill(put[words.form], {
        ...one, ...(one.hours && { hours: plain(one.hours) }), ...(one.points && { points: plain(one.points) }) }));
      return entries.join(put.separator) || put.none;
    }
    return given;
  }

  function evidence(words) {
    const text = words.evidence.replace(/\{(\w+)\}/g, (_, name) => value(name === "value" ? words.fact : name));
    const known = words.fact in texts.facts && texts.facts[words.fact].form === "yes_no";
    if (words.evidence.includes("{") || !known || row.facts[words.fact] === null) return text;
    return say("yes_or_no", { evidence: text, value: value(words.fact) });
  }

  function masked() {
    if (!row.name) return texts.values.nobody;
    const long = [...row.name].length > 2 && texts.surnames.includes(row.name.slice(0, 2));
    return [...row.name].slice(0, long ? 2 : 1).join("") + "**";
  }

  function sumLines(sum, indent) {
    const words = sums[sum.code];
    let note = words.combine === "highest" ? say("highest") : "";
    if (words.cap !== null) {
      note += say("cap", { cap: words.cap });
      if (Number(sum.before_cap) > Number(words.cap)) note += say("over_cap", { before_cap: sum.before_cap });
    }
    lines.push(indent + padded(words.title) + right(sum.points) + note);
    for (const line of row.lines.filter(one => indicators[one.code].parent === sum.code)) {
      const one = indicators[line.code], inner = indent + "  " + " ".repeat(26);
      lines.push(indent + "  " + padded(one.title) + right(line.points) + "  " + evidence(one));
      const example = one.values === "illustrative" ? say("illustrative") : "";
      lines.push(inner + say("rule", { rule: one.rule, basis: one.basis }) + example);
      let before = Number(line.rule_points);
      if (one.cap !== null) before = Math.min(before, Number(one.cap));
      before = (line.closed_by ? 0 : before).toFixed(2);
      if (line.closed_by) lines.push(inner + say("closed", { reason: one.guards[line.closed_by] }));
      else if (line.capped) lines.push(inner + say("capped", { rule_points: line.rule_points, points: before }));
      if (line.case_id !== null)
        lines.push(inner + say("corrected", { before, after: line.points, case_id: line.case_id }));
    }
    for (const one of row.sums.filter(one => sums[one.code].parent === sum.code)) sumLines(one, indent + "  ");
  }

  lines.push(say("heading", { name: masked(), month: row.month.slice(0, 7), revision: row.revision,
    district: texts.districts[row.district] || row.district, total: row.total_points }));
  for (const one of texts.versions)
    if (one.authority === "city" || one.authority === row.district)
      lines.push(say("version", { title: one.title, begins: one.from, basis: one.basis }));
  for (const one of row.facts.corrected) {
    const words = texts.facts[one.fact];
    const given = words.form === "yes_no" ? Number(one.value) === 1 : one.value;
    const before = row.facts[one.fact];
    row.facts[one.fact] = given;
    lines.push(say("corrected_fact", { title: words.title, value: value(one.fact), case_id: one.case_id }));
    row.facts[one.fact] = before;
  }
  for (const one of row.open_objections) {
    const fact = one.target.replace(/^fact:/, "");
    const words = one.target.startsWith("fact:") ? texts.facts[fact] : indicators[one.target];
    lines.push(say("objection", { ...one, title: words ? words.title : one.target }));
  }
  const top = row.sums.filter(one => sums[one.code].parent === null);
  for (const one of top) { lines.push(""); sumLines(one, ""); }
  const terms = top.filter(one => sums[one.code].authority === "city").map(one =>
    say(sums[one.code].subtract ? "subtracted" : "added", { title: sums[one.code].title, points: one.points }));
  lines.push("", say("common", { common: row.common_points, terms: terms.join(" ").replace(/^＋ /, "") }));
  lines.push(say("total", { total: row.total_points, common: row.common_points, district_points: row.district_points }));
  lines.push("");
  if (texts.compared_with === null) lines.push(say("not_compared"));
  else {
    const moved = row.change.moved, order = Object.keys(texts.items);
    const now = { ...Object.fromEntries(row.sums.map(one => [one.code, one.points])),
      ...Object.fromEntries(row.lines.map(one => [one.code, one.points])),
      common: row.common_points, district: row.district_points, total: row.total_points };
    lines.push(say("compared", { revision: texts.compared_with.replace("/", " ") }) + (moved.length ? "" : say("unchanged")));
    for (const one of [...moved].sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code))) {
      const shown = points => points === null || points === undefined ? texts.values.not_there : points;
      lines.push("  " + padded(texts.items[one.code]) + say("moved", { before: right(shown(one.before)), after: shown(now[one.code]) }));
    }
  }
  if (texts.services.length) lines.push("", say("services"));
  for (const words of texts.services) {
    const one = row.services.find(service => service.code === words.code);
    let state;
    if (!one) state = say("not_open");
    else if (one.reached)
      state = say("reached") + (one.monthly_amount === null ? "" : say("amount", { amount: one.monthly_amount }));
    else {
      const lacking = one.unmet.map(number => words.conditions[number - 1]);
      if (Number(one.points_short) > 0) lacking.push(say("points_lacking", {
        threshold: words.threshold[row.district] || words.threshold.default, short: plain(one.points_short) }));
      state = lacking.join("；");
    }
    lines.push("  " + padded(words.title) + "  " + state);
  }
  return lines;
}
