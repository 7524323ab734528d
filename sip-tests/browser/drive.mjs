// Drives a browser with the page of this folder, and the phone that calls it. One line of output for each step; what goes wrong
// ends it with 1. Usage: node drive.mjs OPTIONS, with JSON as in sip-tests/tests/browser.rs.

import { createServer } from 'node:http';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';

const options = JSON.parse(process.argv[2]);
const here = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--ignore-certificate-errors', '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required',
];
if (options.microphone) FLAGS.push(`--use-file-for-fake-audio-capture=${options.microphone}`);
// Who calls and who hangs up, whom the page calls, and the tone that it is to hear.
const CALLS = options.calls ?? [{ by: 'phone', hangs: 'page' }, { by: 'phone', hangs: 'phone' }];

// JsSIP as npm has it is CommonJS: one script of it and all that it requires.
function bundle() {
  const modules = new Map();
  const visit = (path) => {
    if (modules.has(path)) return path;
    const text = readFileSync(path, 'utf8');
    modules.set(path, '');
    if (path.endsWith('.json')) {
      modules.set(path, `module.exports = ${text};`);
      return path;
    }
    const require = createRequire(path);
    const of = (name) => {
      // These are Node's own names as well, and `debug` has another file for browsers.
      if (name === 'debug') return require.resolve('debug/src/browser.js');
      return require.resolve(name === 'events' ? 'events/' : name);
    };
    modules.set(path, text.replace(/\brequire\((['"])(.+?)\1\)/g, (_, quote, name) => `require(${JSON.stringify(visit(of(name)))})`));
    return path;
  };
  const entry = visit(createRequire(join(here, 'package.json')).resolve('jssip'));
  const table = [...modules].map(([path, text]) => `${JSON.stringify(path)}: function (module, exports, require) {\n${text}\n}`);
  return `const JsSIP = ((table) => {
    const loaded = {};
    const process = { env: {} };
    const require = (path) => {
      if (!loaded[path]) {
        loaded[path] = { exports: {} };
        table[path](loaded[path], loaded[path].exports, require);
      }
      return loaded[path].exports;
    };
    return require(${JSON.stringify(entry)});
  })({\n${table.join(',\n')}\n});`;
}

// A page may use the microphone only where it comes from this machine or by https.
async function serve() {
  const files = {
    '/': ['text/html', readFileSync(join(here, 'page.html'))],
    '/page.js': ['text/javascript', readFileSync(join(here, 'page.js'))],
    '/bundle.js': ['text/javascript', bundle()],
  };
  const server = createServer((request, response) => {
    const [kind, body] = files[new URL(request.url, 'http://localhost').pathname] ?? [];
    response.writeHead(kind ? 200 : 404, kind && { 'content-type': kind });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return server.address().port;
}

const steps = [];
let waiting = [];

function tell(what, detail) {
  console.log(`STEP ${what} ${detail}`.trim());
  steps.push({ what, detail });
  waiting = waiting.filter((look) => !look());
}

// Waits for the next step of this kind behind those that were waited for before.
const seen = {};
function step(what) {
  const at = (seen[what] = (seen[what] ?? 0) + 1);
  return new Promise((resolve) => {
    const look = () => {
      const found = steps.filter((step) => step.what === what)[at - 1];
      if (found) resolve(found.detail);
      return Boolean(found);
    };
    if (!look()) waiting.push(look);
  });
}

// The phone takes commands as netstrings of JSON and tells its events the same way.
function phone() {
  const socket = connect(options.phone.port, options.phone.host);
  socket.on('data', (data) => {
    for (const [, type] of data.toString().matchAll(/"type":"(CALL_\w+)"/g)) tell('phone', type);
  });
  socket.on('error', (error) => fail(error));
  socket.unref();
  return (command, params = '') => {
    const json = JSON.stringify({ command, params, token: 't' });
    socket.write(`${Buffer.byteLength(json)}:${json},`);
  };
}

async function phoneSays(type) {
  let detail;
  do detail = await step('phone'); while (detail !== type);
}

function fail(error) {
  console.log(`FAILED ${error?.stack ?? error}`);
  process.exit(1);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The page hears this tone for two seconds, in which the phone may hear the page.
async function hears(page, hz) {
  tell('path', await page.evaluate(() => window.path()));
  for (let times = 0; times < 20; ) {
    const [loudest, level] = await page.evaluate(() => window.tone());
    const isIt = Math.abs(loudest - hz) < 10 && level > -50;
    if (!isIt && times > 0) console.log(`heard ${loudest} Hz at ${level} dB after ${times} times ${hz} Hz`);
    times = isIt ? times + 1 : 0;
    await pause(100);
  }
  tell('tone', hz);
}

async function main() {
  const port = await serve();
  const browser = await chromium.launchPersistentContext(join(options.folder, 'profile'), {
    executablePath: options.chromium,
    headless: true,
    args: FLAGS,
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on('console', (message) => console.log(`console: ${message.text()}`));
  page.on('pageerror', fail);
  await page.exposeFunction('tell', tell);
  const query = new URLSearchParams({ server: options.server, uri: options.uri, password: options.password });
  await page.goto(`http://127.0.0.1:${port}/?${query}`);
  await step('registered');
  const command = phone();
  for (const { by, hangs, target, hz } of CALLS) {
    if (by === 'phone') command('dial', options.uri);
    else await page.evaluate((target) => void window.dial(target), target);
    await step('call');
    if (by === 'page') {
      await phoneSays('CALL_INCOMING');
      command('accept');
    }
    await step('confirmed');
    await phoneSays('CALL_ESTABLISHED');
    let state;
    do state = await step('media'); while (state !== 'connected');
    while ((await page.evaluate(() => window.heard())) < 25) await new Promise((resolve) => setTimeout(resolve, 50));
    tell('heard', 'packets');
    if (hz) await hears(page, hz);
    await page.screenshot({ path: join(options.folder, 'page.png') });
    if (hangs === 'page') await page.evaluate(() => window.hangUp());
    else command('hangup');
    await step('ended');
    if (hangs === 'page') await phoneSays('CALL_CLOSED');
  }
  await browser.close();
  tell('done', '');
}

setTimeout(() => fail(`not done in ${options.seconds} s; steps so far: ${JSON.stringify(steps)}`), options.seconds * 1000).unref();
main().catch(fail);
