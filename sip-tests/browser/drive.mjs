// Drives a browser with the pages of this folder, and the phone and the carrier that call them and are called. One line of output for each
// step; what goes wrong ends it with 1. Usage: node drive.mjs OPTIONS, with JSON as in sip-tests/tests/browser.rs.

import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { bundle } from './bundle.mjs';
import { Ear } from './carrier.mjs';
import { FLAGS, TRUSTS, fail, here, options, pause, until } from './shared.mjs';

const [ANY_CERTIFICATE, ANY_MICROPHONE, ANY_SOUND] = TRUSTS;
// Whoever asks may use the microphone: then a page need not even ask to be told the addresses of the machine.
const PERMITTED = [ANY_MICROPHONE, '--use-fake-device-for-media-stream'];
if (options.microphone) PERMITTED.push(`--use-file-for-fake-audio-capture=${options.microphone}`);
// The tone of the microphone, of the phone, and of the carrier's ends: the one before the answer and the one behind it.
const TONES = { page: 1000, phone: 440, early: 700, carrier: 550 };
const PORTS = { early: 30000, carrier: 30002 };
const NUMBER = '+14155550199';

// What README has for a page, with the names of this test.
function readme() {
  const text = readFileSync(options.readme.file, 'utf8');
  const [lines] = text.match(/ {4}<script src="jssip[\s\S]*?<\/script>\n\n/) ?? [];
  if (!lines) throw new Error('README has lines for a page with JsSIP');
  const { uri, password } = options.readme;
  const own = [['jssip.min.js', 'jssip-bundle.js'], ['wss://192.0.2.10:8443', options.server], ['sip:alice@example.com', uri], ['as in the file', password]];
  const html = own.reduce((html, [theirs, ours]) => {
    if (!html.includes(theirs)) throw new Error(`README's lines have ${theirs}`);
    return html.replace(theirs, ours);
  }, lines);
  return `<!doctype html>\n<link rel="icon" href="data:,">\n${html}\n<script type="module" src="ear.js"></script>`;
}

// A page may use the microphone only where it comes from this machine or by https.
async function serve() {
  const own = { '/jssip-bundle.js': bundle };
  if (options.readme) own['/readme'] = readme;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const path = pathname === '/' ? '/page.html' : pathname;
    const folder = path.startsWith('/sip.js/') ? join(here, 'node_modules/sip.js/lib') : here;
    const file = join(folder, path.replace('/sip.js/', '/'));
    const body = own[path]?.() ?? (existsSync(file) ? readFileSync(file) : null);
    const kind = path.endsWith('.js') ? 'text/javascript' : 'text/html';
    response.writeHead(body ? 200 : 404, { 'content-type': kind });
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
function commands() {
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

// The page hears this tone for more than a second, in which another may hear the page.
async function hears(page, hz) {
  for (let times = 0; times < 12; ) {
    const [loudest, level] = await page.evaluate(() => window.tone());
    const isIt = Math.abs(loudest - hz) < 10 && level > -50;
    if (!isIt && times > 0) console.log(`heard ${loudest} Hz at ${level} dB after ${times} times ${hz} Hz`);
    times = isIt ? times + 1 : 0;
    await pause(100);
  }
  tell('tone', hz);
}

async function connected(page) {
  let state;
  do state = await step('media'); while (state !== 'connected');
  await until('packets', async () => (await page.evaluate(() => window.heard())) >= 25);
  tell('heard', 'packets');
}

// SIPp as the carrier: one call by a scenario of fixtures/sipp. It ends with 0 when all went as that says.
function sipp(scenario, keys, more) {
  const named = Object.entries(keys).flatMap(([name, value]) => ['-key', name, String(value)]);
  const file = join(here, '../../fixtures/sipp', `${scenario}.xml`);
  const own = ['-sf', file, '-i', options.carrier, '-p', '5060', '-m', '1', '-nostdin', '-timeout', '40s', '-timeout_error', '-deadcall_wait', '0'];
  const log = ['-trace_err', '-error_file', join(options.folder, 'sipp-errors.log')];
  const process = spawn('sipp', [...own, ...log, ...named, ...more], { stdio: 'ignore' });
  return new Promise((resolve, reject) => {
    process.on('error', reject);
    process.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`SIPp's ${scenario} ended with ${code}`))));
  });
}

// `/proc/net/udp` knows: an address is hexadecimal, its first octet last.
function listens(address, port) {
  const hex = (number, digits) => number.toString(16).toUpperCase().padStart(digits, '0');
  const wanted = `${address.split('.').reverse().map((octet) => hex(Number(octet), 2)).join('')}:${hex(port, 4)}`;
  return readFileSync('/proc/net/udp', 'utf8').includes(` ${wanted} `);
}

// A NAT between page and node gives the page another port, and forgets the one before (RFC 8445 3, peer-reflexive): the node follows when the page has
// answered a check from there.
async function moves(page) {
  const before = String(await page.evaluate(() => window.port()));
  execFileSync('iptables', ['-t', 'raw', '-I', 'OUTPUT', '-p', 'udp', '--dport', before, '-j', 'DROP']);
  execFileSync('iptables', ['-t', 'nat', '-I', 'POSTROUTING', '-p', 'udp', '--sport', before, '-j', 'SNAT', '--to-source', `${options.node}:45000`]);
  const heard = await page.evaluate(() => window.heard());
  await until('packets by the other port', async () => (await page.evaluate(() => window.heard())) > heard + 50);
  tell('moved', '');
}

// A call with the phone.
async function byPhone(page, uri, { by, hangs, target, isPlain, isMoved }) {
  if (by === 'phone') phone('dial', uri);
  else await page.evaluate((target) => void window.dial(target), target);
  await step('call');
  if (by === 'page') {
    await phoneSays('CALL_INCOMING');
    phone('accept');
  }
  await step('confirmed');
  await phoneSays('CALL_ESTABLISHED');
  await connected(page);
  if (isPlain) {
    tell('path', await page.evaluate(() => window.path()));
    await hears(page, TONES.phone);
    if (isMoved) {
      await moves(page);
      await hears(page, TONES.phone);
    }
  }
  await page.screenshot({ path: join(options.folder, 'page.png') });
  if (hangs === 'page') await page.evaluate(() => window.hangUp());
  else phone('hangup');
  await step('ended');
  if (hangs === 'page') await phoneSays('CALL_CLOSED');
}

// The page calls the carrier, which has a voice before it answers (RFC 3960 3.2) and takes digits then, and which answers with another dialog of its fork
// and from another port (RFC 3261 13.2.2.4).
async function toCarrier(page) {
  const early = new Ear(options.carrier, PORTS.early, TONES.early);
  const final = new Ear(options.carrier, PORTS.carrier, TONES.carrier);
  const keys = { early_port: PORTS.early, port: PORTS.carrier };
  const carrier = sipp('callee-forks', keys, ['-d', '4000']);
  await until('SIPp listens', () => listens(options.carrier, 5060));
  await page.evaluate((target) => void window.dial(target), `sip:${NUMBER}@example.com`);
  await step('call');
  await connected(page);
  await hears(page, TONES.early);
  await page.evaluate(() => window.press('42#'));
  await until('digits before the answer', () => early.digits === '42#');
  if (steps.filter(({ what }) => what === 'confirmed').length > (seen.confirmed ?? 0)) throw new Error('the answer came too soon');
  tell('early', `${TONES.early} ${early.digits}`);
  await step('confirmed');
  await hears(page, TONES.carrier);
  await until('the carrier hears the page', () => final.hears(TONES.page));
  tell('carrier', TONES.page);
  const before = early.packets;
  await pause(200);
  if (early.packets > before) throw new Error('the one that did not answer is spoken to');
  await page.evaluate(() => window.hangUp());
  await step('ended');
  await carrier;
  for (const ear of [early, final]) ear.close();
}

// The carrier calls the page.
async function byCarrier(page, number) {
  const ear = new Ear(options.carrier, PORTS.carrier, TONES.carrier);
  const keys = { number, caller: NUMBER, sink_ip: options.carrier, sink_port: PORTS.carrier };
  const carrier = sipp('caller', keys, [`${options.node}:5060`]);
  await step('call');
  await step('confirmed');
  await connected(page);
  await hears(page, TONES.carrier);
  await until('the carrier hears the page', () => ear.hears(TONES.page));
  tell('carrier', TONES.page);
  await page.evaluate(() => window.hangUp());
  await step('ended');
  await carrier;
  ear.close();
}

// The lines of README, in which a developer calls by `dial`: no word of what happens but the sound.
async function byReadme(page) {
  await until('it has registered', () => page.evaluate('ua.isRegistered()'));
  await page.evaluate(`void dial('${options.readme.number}')`);
  await phoneSays('CALL_INCOMING');
  phone('accept');
  await phoneSays('CALL_ESTABLISHED');
  await until('it plays', () => page.evaluate('Boolean(sound.srcObject) && !sound.paused'));
  await page.evaluate(`import('/ear.js').then(({ listen }) => listen(sound.srcObject))`);
  await hears(page, TONES.phone);
  phone('hangup');
  tell('readme', 'done');
}

async function open(browser, address) {
  const page = await browser.newPage();
  page.on('console', (message) => console.log(`console: ${message.text()}`));
  page.on('pageerror', fail);
  await page.exposeFunction('tell', tell);
  await page.goto(address);
  return page;
}

async function browse(profile, flags) {
  return chromium.launchPersistentContext(join(options.folder, profile), {
    executablePath: options.chromium,
    headless: true,
    args: [...FLAGS, ANY_CERTIFICATE, ANY_SOUND, ...flags],
  });
}

// A page registers, and then its calls.
async function play(browser, origin, { library, uri, password, silent, trickles, calls }) {
  const more = { ...(silent && { silent }), ...(trickles && { trickles }) };
  const query = new URLSearchParams({ library, server: options.server, uri, password, ...more });
  const page = await open(browser, `${origin}/?${query}`);
  await step('registered');
  for (const call of calls) {
    if (call.with === 'phone') await byPhone(page, uri, call);
    else if (call.by === 'page') await toCarrier(page);
    else await byCarrier(page, call.number);
    if (silent) tell('candidates', (await page.evaluate(() => window.candidates())).join(' '));
  }
  tell('page', library);
  await page.close();
}

async function main() {
  const origin = `http://127.0.0.1:${await serve()}`;
  const browser = await browse('profile', PERMITTED);
  for (const page of options.pages) await play(browser, origin, page);
  if (options.readme) await byReadme(await open(browser, `${origin}/readme`));
  await browser.close();
  if (options.silent) {
    const other = await browse('profile-silent', []);
    await play(other, origin, { ...options.silent, silent: true });
    await other.close();
  }
  tell('done', '');
}

const phone = options.phone && commands();
setTimeout(() => fail(`not done in ${options.seconds} s; steps so far: ${JSON.stringify(steps)}`), options.seconds * 1000).unref();
main().then(() => process.exit(0)).catch(fail);
