// A browser that looks at the gateway from pages of other origins and at its own page, and prints
// what it saw. Its argument is the folder with playwright-core. It prints its pages' origins as one JSON
// line, is given the gateway's URL and a token as another, and prints what it saw as a third.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [part] = process.argv.slice(2);
const { chromium } = createRequire(`${part}/`)('playwright-core');

// One server under two names: to the browser they are two sites.
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end('<!doctype html><title>console</title>');
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const { port } = server.address();
const pages = { allowed: `http://localhost:${port}`, foreign: `http://127.0.0.1:${port}` };
console.log(JSON.stringify(pages));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { gateway, token } = JSON.parse((await lines.next()).value);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--no-proxy-server'],
});

// What a script of a page gets of each request.
async function ask(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  const seen = await page.evaluate(
    async ({ gateway, token }) => {
      const bearer = { Authorization: `Bearer ${token}` };
      const json = { 'Content-Type': 'application/json', 'X-Request-Id': 'from-a-page' };
      const body = JSON.stringify({ ipAddresses: ['10.0.0.21'] });
      const nic = '/nics/1612345678901234567/ipv4';
      const requests = {
        read: ['/whoami', { headers: bearer }],
        dryRun: [`${nic}?dryRun=true`, { method: 'DELETE', headers: { ...bearer, ...json }, body }],
        plain: ['/problems/rate-limited', {}],
        unauthorized: ['/whoami', {}],
        unknown: ['/nowhere', { headers: bearer }],
        header: ['/whoami', { headers: { ...bearer, 'X-Other': '1' } }],
        method: ['/whoami', { method: 'PUT', headers: bearer }],
        frozen: [nic, { method: 'DELETE', headers: { ...bearer, ...json }, body }],
      };
      const seen = {};
      for (const [name, [path, init]] of Object.entries(requests)) {
        try {
          const answer = await fetch(gateway + path, init);
          const header = (name) => answer.headers.get(name);
          seen[name] = {
            status: answer.status,
            body: await answer.json(),
            requestId: header('x-request-id'),
            retryAfter: header('retry-after'),
            challenge: header('www-authenticate'),
            hidden: header('date'),
          };
        } catch (error) {
          seen[name] = { error: error.name };
        }
      }
      return seen;
    },
    { gateway, token },
  );
  await page.close();
  return seen;
}

// The page for people, and everything that the browser has against it.
async function look(width, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  const requests = [];
  page.on('request', (request) => requests.push(new URL(request.url()).pathname));
  await page.goto(`${gateway}/docs`, { waitUntil: 'networkidle' });
  const seen = await page.evaluate(() => ({
    headings: document.querySelectorAll('section').length,
    background: getComputedStyle(document.body).backgroundColor,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    dangling: [...document.querySelectorAll('a[href^="#"]')]
      .filter((link) => !document.getElementById(link.getAttribute('href').slice(1)))
      .map((link) => link.getAttribute('href')),
  }));
  // What would show if the policy did not hold.
  const inline = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.head.append(script);
    return window.ran === true;
  });
  const refused = complaints.filter((text) => text.includes('Content Security Policy'));
  await page.close();
  return { ...seen, inline, refused: refused.length, complaints: complaints.length - refused.length, requests };
}

const result = {
  allowed: await ask(pages.allowed),
  foreign: await ask(pages.foreign),
  wide: await look(1280, 'light'),
  narrow: await look(360, 'dark'),
};
console.log(JSON.stringify(result));
await browser.close();
server.close();
process.exit(0);
