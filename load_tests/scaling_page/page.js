// The Scaling page: fetches new rows once a second, and draws the last hour.
"use strict";

const EVERY_MS = 1000;
const KEPT = 3600; // rows: an hour
const COLOURS = ["#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2"];
const STATES = { OK: "#047857", ALARM: "#b91c1c", INSUFFICIENT_DATA: "#94a3b8" };
const rows = [];

const element = (id) => document.getElementById(id);
let times = []; // one Date for each row, shared by all traces
const column = (name) => rows.map((row) => row[name] ?? null);

function line(name, y, colour, more = {}) {
  const { dash = "solid", shape = "linear", ...rest } = more;
  return { name, x: times, y, mode: "lines", line: { color: colour, width: 2, dash, shape }, ...rest };
}

function draw(id, traces, layout = {}) {
  const { yaxis = {}, ...rest } = layout;
  const common = {
    margin: { l: 44, r: 10, t: 6, b: 40 },
    showlegend: traces.length > 1,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11 } },
    xaxis: { type: "date", gridcolor: "#f1f5f9", range: rows.length > 1 ? [times[0], times.at(-1)] : undefined },
    yaxis: { rangemode: "tozero", gridcolor: "#e2e8f0", automargin: true, ...yaxis },
    hovermode: "x unified",
    uirevision: "kept", // a zoom stays while rows are added
    ...rest,
  };
  Plotly.react(id, traces, common, { responsive: true, displayModeBar: false });
}

const fleetSize = (side, key) => side?.[key] ?? 0;
const total = (key) => rows.map((row) => (row[key] === null ? null : row[key] + fleetSize(row.pending, key)));
const shortAlarm = (name) =>
  name.replace(/^TargetTracking-.*-(AlarmHigh|AlarmLow)-.*$/, "scaling $1").replace(/^.*\//, "rollback ");

function drawReleases() {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.releases)))];
  const sum = (row) => Object.values(row.releases).reduce((all, each) => all + each, 0);
  const share = (name) => rows.map((row) => (sum(row) ? (100 * (row.releases[name] ?? 0)) / sum(row) : null));
  const traces = names.map((name, i) =>
    line(name, share(name), COLOURS[i % COLOURS.length], { stackgroup: "releases", shape: "hv" }),
  );
  draw("releases", traces, { showlegend: true, yaxis: { range: [0, 101] } });
}

function drawAlarms() {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.alarms)))];
  const labels = new Map(names.map((name) => [name, shortAlarm(name)]));
  const traces = Object.entries(STATES).map(([state, color]) => {
    const points = rows.flatMap((row) =>
      Object.entries(row.alarms)
        .filter(([, is]) => is === state)
        .map(([name]) => [new Date(row.at * 1000), labels.get(name)]),
    );
    const [x, y] = [points.map((point) => point[0]), points.map((point) => point[1])];
    return { name: state, x, y, mode: "markers", marker: { color, size: 9, symbol: "square" } };
  });
  draw("alarms", traces, { yaxis: { rangemode: "normal", type: "category" }, hovermode: "closest" });
}

function drawAll() {
  draw("rate", [
    line("offered", column("offered"), "#94a3b8", { dash: "dot" }),
    line("served", column("served"), COLOURS[0]),
    line("failed", column("failed"), COLOURS[4]),
  ]);
  draw("latency", [
    line("p50", column("p50_ms"), COLOURS[2]),
    line("p95", column("p95_ms"), COLOURS[1]),
    line("p99", column("p99_ms"), COLOURS[4]),
  ]);
  draw(
    "instances",
    [
      line("current", total("current"), COLOURS[0], { shape: "hv" }),
      line("desired", total("desired"), "#94a3b8", { dash: "dot", shape: "hv" }),
    ],
    { yaxis: { dtick: 1 } },
  );
  draw("tracked", [
    line("measured", column("tracked"), COLOURS[3]),
    line("target", column("target"), "#b91c1c", { dash: "dash" }),
  ]);
  drawAlarms();
  drawReleases();
}

function showStatus(answer) {
  const last = rows.at(-1);
  element("endpoint").textContent = answer.endpoint || "No endpoint is named yet";
  element("problem").hidden = !answer.problem;
  element("problem").textContent = answer.problem;
  if (!last) return;
  element("status").textContent = last.status;
  element("status").className = `badge ${last.status}`;
  const p99 = last.p99_ms === null ? "–" : `${Math.round(last.p99_ms)} ms`;
  const count = fleetSize(last, "current") + fleetSize(last.pending, "current");
  element("figures").textContent = `${last.served.toFixed(0)}/s · p99 ${p99} · ${count} instances`;
  if (last.metric) element("tracked-title").textContent = `${last.metric}, as the scaling policy reads it`;
}

async function poll() {
  try {
    const response = await fetch(`scaling/rows?after=${rows.at(-1)?.at ?? 0}`);
    if (!response.ok) throw new Error(`Locust answers ${response.status}`);
    const answer = await response.json();
    rows.push(...answer.rows);
    rows.splice(0, Math.max(0, rows.length - KEPT));
    times = rows.map((row) => new Date(row.at * 1000));
    showStatus(answer);
    drawAll();
  } catch (error) {
    element("problem").hidden = false;
    element("problem").textContent = `No new figures: ${error.message}`;
  }
  setTimeout(poll, EVERY_MS);
}

poll();
