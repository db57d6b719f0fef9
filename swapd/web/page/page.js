// Keeps the page as swapd would show it anew: at each change of a model, and now and then.
"use strict";

const EVERY = 5000; // milliseconds; counts of requests are not announced
let asked = false;

async function refresh() {
  if (asked || document.hidden) return;
  asked = true;
  try {
    const answer = await fetch(`${location.origin}/ui/`);
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    showTimes();
    document.getElementById("trouble").hidden = true;
  } catch {
    document.getElementById("trouble").hidden = false;
  } finally {
    asked = false;
  }
}

function showTimes() {
  for (const time of document.querySelectorAll("time"))
    time.textContent = new Date(time.dateTime).toLocaleString();
}

function listen() {
  const changes = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/lifecycle`);
  changes.onmessage = () => setTimeout(refresh, 100);
  changes.onclose = () => setTimeout(listen, EVERY);
}

document.getElementById("address").textContent = `${location.origin}/v1`;
showTimes();
listen();
setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
