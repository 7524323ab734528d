// Drives browsers with cameras in one room with a phone and a carrier's caller: who sees whom, and who hears whom. One line of output for each step; what goes wrong
// ends it with 1. Usage: node group.mjs OPTIONS, with JSON as in sip-tests/tests/browser/group.rs.

import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { Ear } from './carrier.mjs';
import { TRUSTS, browser, fail, here, options, pause, run, tell, until } from './shared.mjs';

async function serve() {
  const files = {
    '/': ['text/html', readFileSync(join(here, 'group.html'))],
    '/group.js': ['text/javascript', readFileSync(join(here, 'group.js'))],
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

// Colours as they are decoded, roughly: the channel that is the brightest.
const CHANNEL = { red: 0, green: 1, blue: 2 };

async function member(port, { name, password }) {
  const { context, page } = await browser(name, { flags: TRUSTS, film: true });
  const query = new URLSearchParams({ server: options.server, uri: `sip:${name}@example.com`, password });
  await page.goto(`http://127.0.0.1:${port}/?${query}`);
  await page.evaluate(() => window.registered);
  return { name, context, page };
}

// A page sees this colour move on somewhere: frames come for it.
async function sees(one, colour) {
  let before;
  await until(`${one.name} sees ${colour}`, async () => {
    const places = await one.page.evaluate(() => window.look());
    const is = ({ colour: rgb }) => rgb && rgb[CHANNEL[colour]] > 120 && rgb.every((v, nth) => nth === CHANNEL[colour] || v < rgb[CHANNEL[colour]] / 2);
    const place = places.find(is);
    if (!place) return places;
    before ??= place.frames;
    return place.frames >= before + 30 || places;
  });
  const place = (await one.page.evaluate(() => window.look())).find(({ frames }) => frames > 0);
  console.log(`${one.name} ${JSON.stringify(place)}`);
  tell(`${one.name} sees`, colour);
}

// Each of these, and not what it says itself.
async function hears(one, tones, own) {
  await until(`${one.name} hears ${tones}`, async () => {
    const levels = await one.page.evaluate((tones) => window.levels(tones), [...tones, own]);
    const echo = levels.pop();
    return (levels.every((level) => level > -65) && echo < Math.min(...levels) - 20) || [levels, echo, await one.page.evaluate(() => window.sound())];
  });
  tell(`${one.name} hears`, tones.join(' '));
}

// A caller from a carrier: SIPp has the dialog, which the other side ends; the ear has the media.
function carrier({ address, number, port, tone }) {
  const ear = new Ear(address, port, tone);
  const file = join(here, '../../fixtures/sipp/caller.xml');
  const keys = { number, caller: '+14155550199', sink_ip: address, sink_port: port };
  const named = Object.entries(keys).flatMap(([name, value]) => ['-key', name, String(value)]);
  const own = ['-sf', file, '-i', address, '-p', '5060', '-m', '1', '-nostdin', '-timeout', '120s', '-timeout_error', '-deadcall_wait', '0'];
  const sipp = spawn('sipp', [...own, ...named, `${options.node}:5060`], { stdio: 'ignore' });
  sipp.on('error', fail);
  const ended = new Promise((resolve) => sipp.on('exit', resolve));
  return { ear, tone, ended };
}

// The carrier's end hears each of these beside one another, and not what it says itself.
async function carrierHears({ ear, tone }, tones) {
  await until(`the carrier hears ${tones}`, () => {
    const [shares, echo] = [tones.map((hz) => ear.share(hz)), ear.share(tone)];
    return (shares.every((share) => share > 0.1) && shares.reduce((sum, share) => sum + share) > 0.8 && echo < 0.01) || [shares, echo, ear.packets];
  });
  tell('the carrier hears', tones.join(' '));
}

// The phone takes commands as netstrings of JSON.
function phone(command, params = '') {
  const socket = connect(options.phone.port, options.phone.host);
  socket.on('error', fail);
  const json = JSON.stringify({ command, params, token: 't' });
  socket.write(`${Buffer.byteLength(json)}:${json},`);
  socket.unref();
}

// Each hears each other on a line of its own, and the phone on the first; when the phone is gone, nothing comes there any more.
async function apart() {
  const port = await serve();
  const members = await Promise.all(options.members.map((one) => member(port, one)));
  phone('dial', options.room);
  for (const { page, name } of members) {
    await page.evaluate(([room, voices]) => window.join(room, 0, false, voices), [options.room, options.voices]);
    tell('in', name);
  }
  for (const [nth, one] of members.entries()) {
    const others = options.members.filter((_, other) => other !== nth).map(({ tone }) => tone);
    await hears(one, [options.phoneTone, ...others]);
    const [own] = await one.page.evaluate((tones) => window.levels(tones), [options.members[nth].tone]);
    if (own > -75) fail(`${one.name} hears itself at ${own}`);
    // The phone on the first, and each other on a line of its own.
    await until(`${one.name} hears each apart`, async () => {
      const lines = await one.page.evaluate(() => window.lines());
      return lines.filter(({ packets, lost }) => packets > 100 && lost === 0).length === members.length || lines;
    });
    const lines = await one.page.evaluate(() => window.lines());
    console.log(`${one.name} ${JSON.stringify(lines)}`);
  }
  phone('hangup');
  const first = async () => (await members[0].page.evaluate(() => window.lines())).find(({ mid }) => mid === '0').packets;
  await until('the first line rests', async () => {
    const before = await first();
    await pause(1000);
    return before === (await first()) || before;
  });
  await hears(members[0], options.members.slice(1).map(({ tone }) => tone));
  await Promise.all(members.map(({ page }) => page.evaluate(() => window.leave())));
  await Promise.all(members.map(({ context }) => context.close()));
  tell('done');
}

async function main() {
  const port = await serve();
  const members = await Promise.all(options.members.map((one) => member(port, one)));
  tell('registered', members.length);
  phone('dial', options.room);
  const caller = carrier(options.carrier);
  for (const [nth, { page, name }] of members.entries()) {
    await page.evaluate(([room, places, simulcast]) => window.join(room, places, simulcast), [options.room, options.places, options.members[nth].simulcast]);
    tell('in', name);
  }
  for (const [nth, one] of members.entries()) {
    const others = options.members.filter((_, other) => other !== nth);
    for (const { colour } of others) await sees(one, colour);
    await hears(one, [options.phoneTone, options.carrier.tone, ...others.map(({ tone }) => tone)], options.members[nth].tone);
  }
  await carrierHears(caller, [options.phoneTone, ...options.members.map(({ tone }) => tone)]);
  // What the phone hears it writes down.
  await pause(2000);
  tell('all heard');
  for (const one of members) console.log(`${one.name} sent ${JSON.stringify(await one.page.evaluate(() => window.sent()))}`);
  // Chromium begins with 300 kbit/s; from what it is told of what came it learns that the way carries more.
  for (const one of members) {
    await until(`${one.name} may send more`, async () => {
      const bits = await one.page.evaluate(() => window.outgoing());
      return bits > 400_000 || bits;
    });
    console.log(`${one.name} may send ${await one.page.evaluate(() => window.outgoing())}`);
    tell('grows', one.name);
  }
  for (const one of members) await one.page.screenshot({ path: join(options.folder, `${one.name}.png`) });
  // One leaves and comes back: it is seen again without anything of the other's being offered anew.
  const [first, ...rest] = members;
  await first.page.evaluate(() => window.leave());
  await until('gone', async () => {
    const [before] = await rest[0].page.evaluate(() => window.look());
    await pause(1000);
    const [after] = await rest[0].page.evaluate(() => window.look());
    return before.frames === after.frames || [before, after];
  });
  tell('gone', first.name);
  await first.page.reload();
  await first.page.evaluate(() => window.registered);
  await first.page.evaluate(([room, places]) => window.join(room, places, false), [options.room, options.places]);
  for (const one of rest) await sees(one, options.members[0].colour);
  await Promise.all(members.map(({ page }) => page.evaluate(() => window.leave())));
  phone('hangup');
  await Promise.all(members.map(({ context }) => context.close()));
  // Who is left is sent away.
  execFileSync(options.program, ['room', '-c', options.config, '3000', 'end']);
  const status = await caller.ended;
  if (status !== 0) throw new Error(`SIPp ended with ${status}`);
  caller.ear.close();
  tell('done');
}

run(options.voices ? apart : main);
