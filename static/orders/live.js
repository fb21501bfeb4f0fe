// What the pages do by themselves: parts poll (htmx), times age, the chart follows.
// No inline script anywhere, so that the content security policy can forbid it.
"use strict";
(() => {
  const versions = new Map(); // path of a polled part -> ETag of what is shown
  const refreshed = new Map(); // id of a polled part -> moment of its last answer

  const isPolled = (element) => element && element.hasAttribute && element.hasAttribute("data-live");

  function ago(moment) {
    const seconds = Math.max(0, Math.floor((Date.now() - moment) / 1000));
    if (seconds < 60) return `${seconds} s ago`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ago`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min ago` : `${hours} h ago`;
    const days = Math.floor(hours / 24);
    return days === 1 ? "1 day ago" : `${days} days ago`;
  }

  function until(moment) {
    const seconds = Math.ceil((moment - Date.now()) / 1000);
    if (seconds <= 0) return "now";
    return seconds < 60 ? `in ${seconds} s` : `in ${Math.ceil(seconds / 60)} min`;
  }

  function tellTimes() {
    for (const element of document.querySelectorAll("[data-until]")) {
      const words = until(Date.parse(element.dataset.until));
      if (element.textContent !== words) element.textContent = words;
    }
    for (const element of document.querySelectorAll("[data-ago]")) {
      const words = ago(Date.parse(element.dataset.ago));
      if (element.textContent !== words) element.textContent = words;
    }
    for (const element of document.querySelectorAll("[data-live-state]")) {
      const part = document.getElementById(element.dataset.liveState);
      const last = refreshed.get(element.dataset.liveState);
      let words = "";
      if (part && part.dataset.lost) words = last ? `Not refreshed since ${ago(last)}` : "Not refreshed: no answer";
      if (element.textContent !== words) element.textContent = words;
    }
  }

  document.addEventListener("htmx:configRequest", (event) => {
    if (!isPolled(event.target)) return;
    const version = versions.get(event.detail.path);
    if (version) event.detail.headers["If-None-Match"] = version;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    // A page nobody looks at asks nothing; it catches up when it is looked at again.
    if (isPolled(event.target) && document.hidden) event.preventDefault();
  });
  // Polled parts are morphed: what stands on the page stays, with its focus, its scroll and what was typed into it.
  htmx.defineExtension("morph", {
    isInlineSwap: () => false,
    handleSwap: (style, target, answer) =>
      style === "morph" &&
      Idiomorph.morph(target, [...answer.childNodes], {
        morphStyle: "innerHTML",
        callbacks: {
          // What a person fills in is theirs, and a chart draws its canvas by itself.
          beforeNodeMorphed: (old) => !(old instanceof Element && old.matches("[data-own], canvas")),
          // Which lists were opened is known here only.
          beforeAttributeUpdated: (name, element) => !(name === "open" && element.matches("[data-keep]")),
        },
      }),
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status === 304) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const part = event.target;
    if (!isPolled(part)) return;
    const answer = event.detail.xhr;
    if (answer.status >= 200 && answer.status < 400) {
      refreshed.set(part.id, Date.now());
      delete part.dataset.lost;
      const version = answer.getResponseHeader("ETag");
      if (version) versions.set(event.detail.pathInfo.requestPath, version);
    } else {
      part.dataset.lost = "1";
    }
    tellTimes();
  });
  document.addEventListener("htmx:afterSettle", () => {
    tellTimes();
    draw();
  });

  // canvas -> its bars: what they are called, and the series and colour of each
  const CHARTS = {
    "orders-chart": [["Received", "received"], ["Completed", "completed"]],
    "batch-chart": [["Done", "completed"], ["Failed", "failed"]],
  };
  const charts = new Map();
  function draw() {
    for (const [id, bars] of Object.entries(CHARTS)) drawOne(id, bars);
  }

  function drawOne(id, named) {
    const canvas = document.getElementById(id);
    const data = document.getElementById(`${id}-data`);
    if (!canvas || !data || !window.Chart) return;
    const series = JSON.parse(data.textContent);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const bars = named.map(([label, key], index) => [series.names?.[index] ?? label, key]).map(([label, key]) => ({
      label,
      data: series[key],
      backgroundColor: colour(`--bo-${key}`),
      hoverBackgroundColor: colour(`--bo-${key}`),
      borderWidth: 0,
      borderRadius: 2,
      barPercentage: 1,
      categoryPercentage: 0.8,
    }));
    let chart = charts.get(id);
    if (chart && chart.canvas === canvas) {
      chart.data.labels = series.labels;
      bars.forEach((set, index) => (chart.data.datasets[index].data = set.data));
    } else {
      const ticks = { color: colour("--bo-dim") };
      chart = new Chart(canvas, {
        type: "bar",
        data: { labels: series.labels, datasets: bars },
        options: {
          animation: false,
          maintainAspectRatio: false,
          interaction: { mode: "index", intersect: false },
          plugins: { legend: { display: false }, colors: { enabled: false } },
          scales: {
            x: { grid: { display: false }, border: { display: false }, ticks: { ...ticks, maxTicksLimit: 7, maxRotation: 0 } },
            y: { beginAtZero: true, grid: { color: colour("--bo-line") }, border: { display: false }, ticks: { ...ticks, precision: 0, maxTicksLimit: 5 } },
          },
        },
      });
      charts.set(id, chart);
    }
    chart.update("none");
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const wide of document.querySelectorAll("[data-keep]")) wide.scrollLeft = (wide.scrollWidth - wide.clientWidth) / 2;
    tellTimes();
    draw();
    setInterval(tellTimes, 1000);
    // Light and dark have colours of their own, and Chart.js keeps the ones that a chart began with.
    const redraw = () => {
      for (const chart of charts.values()) chart.destroy();
      charts.clear();
      draw();
    };
    new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  });
})();
