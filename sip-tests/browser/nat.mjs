// Drives two browsers, each in a network of its own, by commands: a line of words each, answered by `DONE` and the line. What they do is told
// by lines with `STEP`; what goes wrong ends it with 1. Usage: node nat.mjs OPTIONS, with JSON as in sip-tests/tests/nat/driver.rs.

import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundle } from './bundle.mjs';
import { PLAIN, REACHES, browser, fail, here, must, options, pause, tell, token, until as soon } from './shared.mjs';

// WebRTC checks the certificate of TURN by TLS as any other; this one is known by its key.
const certificate = new X509Certificate(readFileSync(options.certificate));
const key = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
const FLAGS = [`--ignore-certificate-errors-spki-list=${key}`, '--autoplay-policy=document-user-activation-required', REACHES];

const until = (what, look) => soon(what, look, 600);

const people = {};

async function open(name) {
  const { context, page } = await browser(name, { flags: FLAGS, executable: join(options.folder, `chromium-${name}`) });
  await context.grantPermissions(['microphone'], { origin: options.url });
  await page.exposeFunction('tell', (line) => people[name].steps.push(line));
  people[name] = { name, context, page, tone: options.tones[name] };
}

// The package in a page, and an ear.
async function load({ page, name }) {
  await page.goto('about:blank');
  await page.goto(`${options.url}/phone`);
  // Somebody has touched the page: it may play.
  await page.mouse.click(1, 1);
  await page.evaluate(async ([secret, audio]) => {
    const { connect } = await import('/sdk/tandem.js');
    window.log = [];
    window.client = await connect(secret, { audio });
    window.follow = (call) => {
      window.call = call;
      window.ear = null;
      for (const event of ['state', 'ended', 'path']) call.on(event, (detail) => window.log.push(`${event} ${detail}`));
      call.on('trouble', (error) => window.log.push(`trouble ${error.kind}: ${error.message}`));
    };
    window.client.on('incoming', (call) => { window.follow(call); window.log.push(`incoming ${call.peer}`); });
    // The loudest tone of what comes, in Hz; 0 where it is silent.
    window.hear = () => {
      if (!window.call.stream) return 0;
      window.ear ??= window.listen(window.call.stream);
      return window.loudest(window.ear);
    };
  }, [await token(name), PLAIN]);
}

const logged = ({ page, name }, line) => until(`${name} logs ${line}`, () => page.evaluate((line) => window.log.some((one) => one.startsWith(line)), line));
const hears = ({ page, name }, tone) => until(`${name} hears ${tone} Hz`, async () => Math.abs((await page.evaluate(() => window.hear())) - tone) <= 12);
const received = ({ page }) => page.evaluate(async () => (await window.call.stats()).received);

// A second and a half of the other's packets from now on.
async function goesOn(both) {
  const before = await Promise.all(both.map(received));
  await until('more packets', async () => (await Promise.all(both.map(received))).every((now, nth) => now > before[nth] + 75));
}

async function tellPairs(both) {
  for (const { page, name } of both) {
    const { local, remote, protocol, relay } = await page.evaluate(async () => (await window.call.stats()).path);
    tell(name, local, remote, protocol, relay ?? '-');
  }
}

async function ring(alice, carol) {
  await Promise.all([load(alice), load(carol)]);
  await alice.page.evaluate(async () => window.follow(await window.client.call('carol')));
  await logged(carol, 'incoming alice');
  await carol.page.evaluate(() => window.call.accept());
}

// The telephone of the node, as somebody opens it.
async function telephone({ page, name }) {
  await page.goto('about:blank');
  await page.goto(`${options.url}/phone#token=${await token(name)}`);
  await says({ page }, '#who', name);
}

const says = ({ page }, selector, text) => page.waitForFunction(([selector, text]) => document.querySelector(selector).textContent === text, [selector, text]);
// What the telephone says of a trouble has this in it.
const words = ({ page }, text) => page.waitForFunction((text) => {
  const trouble = document.getElementById('trouble');
  return !trouble.hidden && trouble.textContent.includes(text);
}, text);

// As it is seen on a large and on a small screen.
async function pictures({ page }, name) {
  for (const [width, height, colorScheme] of [[390, 844, 'light'], [320, 568, 'dark']]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(options.folder, `${name}-${colorScheme}.png`) });
    must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits`);
  }
}

// The page with JsSIP, which comes from here and from no network: by path.
const files = () => ({
  '/': { contentType: 'text/html', body: readFileSync(join(here, 'nat.html')) },
  '/nat.js': { contentType: 'text/javascript', body: readFileSync(join(here, 'nat.js')) },
  '/bundle.js': { contentType: 'text/javascript', body: bundle() },
});

const commands = {
  // Alice calls Carol, and each hears the other.
  async talk() {
    const both = [people.alice, people.carol];
    await ring(...both);
    await Promise.all(both.map((one) => logged(one, 'state up')));
    await Promise.all([hears(people.alice, people.carol.tone), hears(people.carol, people.alice.tone)]);
    await goesOn(both);
    await tellPairs(both);
  },

  // The call found another way since.
  async moved() {
    const both = [people.alice, people.carol];
    await Promise.any(both.map((one) => logged(one, 'path restarting')));
    await goesOn(both);
    await Promise.all([hears(people.alice, people.carol.tone), hears(people.carol, people.alice.tone)]);
    await tellPairs(both);
    for (const { page } of both) must((await page.evaluate(() => window.call.state)) === 'up', 'it is the same call');
  },

  async end() {
    await people.alice.page.evaluate(() => window.call.hangUp());
    await logged(people.carol, 'ended hung-up');
  },

  // What a client is told of servers: as it has asked for it, itself.
  async keys() {
    const told = await people.alice.page.evaluate(() => window.client.ask('GET', '/v1/turn'));
    const seconds = told.expires - Date.now() / 1000;
    must(seconds > 0 && seconds <= 75, `good for ${seconds} s`);
    const [, relays] = told.iceServers;
    must(relays.username.startsWith(`${told.expires}:`) && relays.credential.length > 20, 'a name and a password');
    tell('keys', relays.username);
  },

  // A call that cannot come about: a page and who sits at the telephone in a page are told why, and go on to be.
  async nowhere(why) {
    const { alice, carol } = people;
    await Promise.all([load(alice), telephone(carol)]);
    await alice.page.evaluate(async () => window.follow(await window.client.call('carol')));
    await carol.page.click('#accept');
    await logged(alice, 'trouble');
    tell('alice', await alice.page.evaluate(() => window.log.find((line) => line.startsWith('trouble'))));
    await words(carol, 'No way');
    // The other looks for another way.
    await logged(alice, 'path restarting');
    await pause(500);
    tell('carol', await carol.page.textContent('#trouble'));
    await pictures(carol, `nowhere-${why}`);
    await alice.page.evaluate(() => window.call.hangUp());
    await carol.page.waitForSelector('#dial:not([hidden])');
  },

  // No microphone: who calls is told, and who accepts.
  async refused() {
    const { alice, carol } = people;
    await Promise.all([telephone(alice), telephone(carol)]);
    const debug = await carol.context.newCDPSession(carol.page);
    const permit = (setting) => debug.send('Browser.setPermission', { permission: { name: 'microphone' }, setting, origin: options.url });
    await permit('denied');
    await carol.page.fill('#to', 'alice');
    await carol.page.keyboard.press('Enter');
    await words(carol, 'microphone');
    tell('calls', await carol.page.textContent('#trouble'));
    await pictures(carol, 'refused');
    await alice.page.fill('#to', 'carol');
    await alice.page.keyboard.press('Enter');
    await carol.page.click('#accept');
    await words(carol, 'microphone');
    tell('accepts', await carol.page.textContent('#trouble'));
    await permit('granted');
    await alice.page.click('#hangup');
    await carol.page.waitForSelector('#dial:not([hidden])');
  },

  // Nobody has touched the page, and no microphone is captured, with which Chromium lets it play: so it may not. To look into it would be to
  // touch it: it is a page of its own, and accepts by itself.
  async blocked() {
    const { alice, carol } = people;
    const page = await carol.context.newPage();
    await page.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream;
      const accept = () => document.querySelector('#incoming:not([hidden]) #accept')?.click();
      addEventListener('DOMContentLoaded', () => new MutationObserver(accept).observe(document.body, { subtree: true, attributes: true }));
    });
    await page.goto(`${options.url}/phone#token=${await token('carol')}`);
    await telephone(alice);
    await until('somebody to call', async () => {
      await alice.page.fill('#to', 'carol');
      await alice.page.press('#to', 'Enter');
      await alice.page.waitForSelector('#talk:not([hidden]), #trouble:not([hidden])');
      return alice.page.isVisible('#talk');
    });
    await says(alice, '#state', 'Connected');
    await pause(500);
    await page.waitForSelector('#listen:not([hidden])');
    tell('blocked', await page.textContent('#trouble'));
    await pictures({ page }, 'blocked');
    await page.click('#listen');
    await page.waitForSelector('#trouble', { state: 'hidden' });
    must(await page.isHidden('#listen'), 'it plays');
    await alice.page.click('#hangup');
    await page.waitForSelector('#dial:not([hidden])');
    await page.close();
  },

  // Carol is at her telephone.
  async sits() {
    await telephone(people.carol);
  },

  async told(name, part) {
    await words(people.carol, part);
    tell(name, await people.carol.page.textContent('#trouble'));
    await pictures(people.carol, name);
  },

  async back() {
    await says(people.carol, '#who', 'carol');
    await people.carol.page.waitForSelector('#trouble', { state: 'hidden' });
  },

  // The page is there before the node is out of reach.
  async types() {
    const { page } = people.carol;
    await page.goto('about:blank');
    await page.goto(`${options.url}/phone`);
    await page.keyboard.type(await token('carol'));
  },

  async enters() {
    await people.carol.page.keyboard.press('Enter');
  },

  // A page with JsSIP calls a number: `silent` has no servers for ICE, `relayed` those that it asks the API for.
  async dial(kind, target, hz) {
    const { page, tone } = people.alice;
    const all = files();
    await page.goto('about:blank');
    await page.route(`${options.origin}/**`, (route) => route.fulfill(all[new URL(route.request().url()).pathname]));
    const steps = (people.alice.steps = []);
    const step = (line) => until(`${line} of ${JSON.stringify(steps)}`, () => steps.some((one) => one.startsWith(line)));
    await page.goto(`${options.origin}/?${new URLSearchParams({ server: options.sip, uri: 'sip:alice@example.com', password: 'secret-alice' })}`);
    await page.mouse.click(1, 1);
    await step('registered');
    const client = kind === 'relayed' ? { api: options.url, token: await token('alice') } : {};
    await page.evaluate(([target, tone, client]) => window.dial(target, tone, client), [target, tone, client]);
    await step('confirmed');
    await until(`${hz} Hz`, async () => Math.abs((await page.evaluate(() => window.hear())) - hz) <= 12);
    const before = (await page.evaluate(() => window.path())).received;
    await until('more packets', async () => (await page.evaluate(() => window.path())).received > before + 75);
    const offered = await page.evaluate(() => window.offered());
    tell('offered', ...new Set(offered.map((address) => address.replace(/^[0-9a-f-]{36}\.local$/, 'NAME.local'))));
    const { local, remote, protocol, relay } = await page.evaluate(() => window.path());
    tell('alice', local, remote, protocol, relay ?? '-');
    await page.evaluate(() => window.hangUp());
    await step('ended');
    await page.unroute(`${options.origin}/**`);
  },

  async close() {
    await Promise.all(Object.values(people).map(({ context }) => context.close()));
  },
};

async function main() {
  await Promise.all([open('alice'), open('carol')]);
  console.log('DONE open');
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, ...words] = line.split(' ');
    must(commands[verb], `no command ${verb}`);
    await commands[verb](...words);
    console.log(`DONE ${line}`);
    if (verb === 'close') return;
  }
}

process.on('unhandledRejection', fail);
main().then(() => process.exit(0)).catch(fail);
