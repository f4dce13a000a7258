// Opens a page of a run in Chromium and uses it; prints what it saw as JSON.
// node check.mjs MODULES CHROMIUM PAGE SCREENSHOT
import { createRequire } from "node:module";
const [modules, executablePath, page, screenshot] = process.argv.slice(2);
const { chromium } = createRequire(modules + "/")("playwright-core");

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const tab = await browser.newPage({ viewport: { width: 1500, height: 950 } });
const problems = [], requests = [];
tab.on("console", message => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
tab.on("pageerror", error => problems.push(String(error)));
tab.on("request", request => requests.push(request.url()));
const start = Date.now();
await tab.goto("file://" + page);
await tab.waitForSelector("html[data-ready=yes]", { timeout: 60_000 });
await tab.keyboard.press("ArrowDown");
const readyMs = Date.now() - start;

const text = selector => tab.locator(selector).innerText();
// As written: the style sheet shows titles in capitals.
const place = () => tab.locator("#at").textContent();
const press = async (...keys) => { for (const key of keys) await tab.keyboard.press(key); };
const search = async query => {
  await press("/");
  await tab.locator("#search").fill(query);
  await press("Enter", "Escape");
  return { at: await place(), found: await text("#found"), row: await selected() };
};
const selected = async () => (await tab.locator("#steps .row.on").innerText()).replace(/\s+/g, " ").trim();
const elements = () => tab.locator(".row").count();

const seen = { readyMs, first: await place(), facts: await text("#facts"), chart: await text("#chart"), regions: await tab.locator("#heat .region").allInnerTexts() };
await press("ArrowDown", "ArrowDown");
seen.stepped = await place();
seen.side = await text("#side");
await press("End");
seen.last = { at: await place(), row: await selected() };
await press("ArrowDown");
seen.behindLast = await place();
await press("Home");
seen.searches = {};
for (const query of JSON.parse(process.env.QUERIES ?? "[]")) seen.searches[query] = await search(query);
await press("Home", "c");
seen.nextChunk = await place();
await press("Home", "f");
seen.failure = { at: await place(), side: await text("#side"), red: await tab.locator("#steps .row.bad").allInnerTexts() };
await tab.locator("#heat canvas").first().click();
seen.heat = await place();
seen.elements = await elements();
await tab.screenshot({ path: screenshot });
seen.problems = problems;
seen.requests = requests.filter(url => url !== "file://" + page);
await browser.close();
console.log(JSON.stringify(seen));
