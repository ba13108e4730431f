"use strict";
// The page's own part: rows for the charts, one slider for everything, the browser of samples, tables that sort.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const views = [];
const colours = Object.fromEntries(data.arms.map((arm) => [arm.label, arm.colour]));
const names = Object.fromEntries(data.arms.map((arm) => [arm.label, arm.name]));

function ticked() {
  return new Set([...document.querySelectorAll("#arms input:checked")].map((box) => box.value));
}

function rows(key, arms, only) {
  const found = [];
  for (const arm of arms) {
    const line = (data.series[key] || {})[arm];
    if (!line || (only && !only.has(arm))) continue;
    const add = (values, seed) => values.forEach((value, i) => value !== null && found.push({ step: line.steps[i], value, arm, seed }));
    line.seeds.forEach(add);
    add(line.mean, null);
  }
  return found;
}

async function draw(element) {
  const { spec, key, arms } = JSON.parse(element.dataset.chart);
  const choosable = element.classList.contains("wide");
  if (key) spec.datasets = { curves: rows(key, arms, choosable && ticked()) };
  const { view } = await vegaEmbed(element, spec, { renderer: "svg", actions: false, tooltip: { theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" } });
  if (key) views.push({ view, key, arms, choosable });
}

function nearest(steps, step) {
  return steps.reduce((best, each) => (Math.abs(each - step) < Math.abs(best - step) ? each : best), steps[0]);
}

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function showStep(step) {
  by("step-shown").textContent = step;
  by("step").setAttribute("aria-valuetext", `step ${step}`);
  for (const { view, choosable } of views) if (choosable) view.signal("step", step).runAsync();
  if (!by("at-step")) return;
  by("table-step").textContent = `step ${step}`;
  const only = ticked();
  by("at-step").tBodies[0].replaceChildren(
    ...data.arms.filter((arm) => only.has(arm.label)).map((arm) => {
      const row = document.createElement("tr");
      row.append(make("th", arm.name, { scope: "row", "data-by": arm.name }));
      for (const panel of data.panels) {
        const line = data.series[panel.key][arm.label];
        const place = line ? line.steps.filter((each) => each <= step).length - 1 : -1;
        const value = place >= 0 ? line.mean[place] : null;
        row.append(make("td", value === null ? "–" : value.toPrecision(3), { "data-by": value === null ? "" : value }));
      }
      return row;
    }),
  );
  resort(by("at-step"));
}

const numbers = {
  delta: (r, i) => r.delta[i],
  evidence: (r, i) => Math.sign(r.advantage) * r.delta[i],
  full: (r, i) => (r.advantage ? Math.sign(r.advantage) * (r.weight[i] - 1) : 0),
  current: (r, i) => (r.mix === null || !r.advantage ? null : r.mix * Math.sign(r.advantage) * (r.weight[i] - 1)),
  placebo: (r, i) => (r.placebo ? r.placebo[i] : null),
  none: () => null,
};

function token(rollout, i, quantity) {
  const rule = rollout.rules[i];
  const value = numbers[quantity](rollout, i);
  const words = [`token ${i + 1}`, `Δ ${rollout.delta[i]}`, `w ${rollout.weight[i]}`];
  if (rule) words.push(`citation: ${rule}`);
  const shown = make("span", rollout.tokens[i], { class: rule ? "token leak" : "token", title: words.join(", ") });
  if (value) {
    const share = Math.min(Math.abs(value) / data.samples.scale[quantity], 1);
    shown.style.background = `rgb(var(--${value > 0 ? "blue" : "orange"}) / ${(0.6 * share).toFixed(2)})`;
    if (share >= 0.25) shown.append(make("sup", value > 0 ? "+" : "−"));
  }
  return shown;
}

function showRollout(rollout, quantity) {
  const box = make("div", "", { class: "rollout" });
  const kind = [rollout.right ? "right" : "wrong", ...(Object.keys(rollout.rules).length ? ["cites"] : [])].join(", ");
  const head = make("header", "");
  head.append(make("b", kind), ` · found ${rollout.extracted || "no answer"}${rollout.why ? ` (${rollout.why})` : ""}`);
  head.append(` · A ${rollout.advantage === null ? "–" : rollout.advantage.toFixed(2)}${rollout.mix === null ? "" : `, λ ${rollout.mix.toPrecision(2)}`}`);
  const text = make("div", "", { class: "text" });
  rollout.tokens.forEach((_, i) => text.append(token(rollout, i, quantity), " "));
  if (rollout.cut) text.append(make("i", `… ${rollout.cut} more tokens`));
  box.append(head, text);
  const rules = [...new Set(Object.values(rollout.rules))];
  if (rules.length) box.append(make("p", `The audit marks: ${rules.join(", ")}.`, { class: "small" }));
  return box;
}

function showSamples() {
  if (!by("rollouts")) return;
  const samples = data.samples, only = ticked();
  const prompt = Number(by("prompt").value), quantity = by("quantity").value, step = samples.steps[by("sample-step").value];
  by("sample-step-shown").textContent = step;
  by("sample-step").setAttribute("aria-valuetext", `step ${step}`);
  const scale = samples.scale[quantity];
  by("scale").textContent = scale ? `Blue (+): above neutral; orange (−): below; full colour at ${scale}.` : "";
  const { prompt: question, answer } = samples.prompts[prompt];
  by("question").textContent = `${question}\nanswer: ${answer}`;
  by("rollouts").replaceChildren(
    ...data.arms.map((arm) => arm.label).filter((label) => samples.arms[label] && only.has(label)).map((label) => {
      const all = samples.arms[label];
      const box = make("article", "", { class: "rollouts", "data-arm": label });
      const at = nearest([...new Set(all.map((each) => each.step))], step);
      const found = all.filter((each) => each.step === at && each.prompt === prompt);
      const title = make("h3", "");
      const swatch = make("span", "", { "aria-hidden": "true", style: `background:${colours[label]};width:1rem;height:.35rem;display:inline-block` });
      title.append(swatch, `${names[label]}, step ${at}`);
      const told = found.length ? found[0].reference : "";
      box.append(title, make("p", told ? `The one who scores with the reference sees: ${told}` : "", { class: "small" }));
      found.forEach((each) => box.append(showRollout(each, quantity)));
      if (!found.length) box.append(make("p", "No rollout of this question was kept.", { class: "small" }));
      return box;
    }),
  );
}

function resort(table) {
  const head = table.querySelector("thead th[aria-sort]");
  if (head) sort(table, head.cellIndex, head.getAttribute("aria-sort") === "ascending");
}

function sort(table, column, ascending) {
  const value = (row) => row.cells[column].dataset.by;
  const sign = ascending ? 1 : -1;
  const order = [...table.tBodies[0].rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === "" || b === "") return (a === "") - (b === ""); // what is not known stands last
    return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  });
  table.tBodies[0].append(...order);
}

document.querySelectorAll("table.sortable thead button").forEach((button) => {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = button.closest("table");
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    sort(table, head.cellIndex, ascending);
  });
});

function follow(step) {
  showStep(step);
  if (by("sample-step")) by("sample-step").value = data.samples.steps.indexOf(nearest(data.samples.steps, step));
  showSamples();
}

if (by("step")) {
  by("step").addEventListener("input", () => follow(data.steps[by("step").value]));
  by("arms").addEventListener("change", () => {
    for (const { view, key, arms, choosable } of views) if (choosable) view.data("curves", rows(key, arms, ticked())).runAsync();
    follow(data.steps[by("step").value]);
  });
  for (const id of ["prompt", "quantity", "sample-step"]) if (by(id)) by(id).addEventListener("input", showSamples);
  follow(data.steps[data.steps.length - 1]);
}
(async () => {
  for (const element of document.querySelectorAll(".chart")) await draw(element);
  if (by("step")) showStep(data.steps[by("step").value]);
  document.body.dataset.ready = "yes";
})();
