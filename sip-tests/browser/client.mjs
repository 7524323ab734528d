// Drives two browsers, each with a microphone that says a tone of its own, through the package that a node serves and through its phone
// page. One line of output for each step; what goes wrong ends it with 1. Usage: node client.mjs OPTIONS, with JSON as in
// sip-tests/tests/client_sdk.rs.

import { readFileSync } from 'node:fs';
import { PLAIN, browser, must, options, pause, picture, run, tell, token, until } from './shared.mjs';

// What runs in the pages: the package, and an ear.
async function load(page, name) {
  await page.goto(`${options.url}/phone`);
  await page.evaluate(async ([secret, audio]) => {
    const { connect } = await import('/sdk/tandem.js');
    window.log = [];
    window.client = await connect(secret, { audio });
    window.follow = (call) => {
      window.call = call;
      for (const event of ['state', 'ended', 'dtmf', 'updated', 'path', 'moved']) {
        call.on(event, (detail) => window.log.push(`${event} ${detail ?? ''}`.trim()));
      }
    };
    window.client.on('incoming', (call) => { window.follow(call); window.log.push(`incoming ${call.peer}`); });
    for (const event of ['connected', 'disconnected', 'closed']) window.client.on(event, () => window.log.push(event));
    // The loudest tone of what comes, in Hz; 0 where it is silent.
    window.hear = () => {
      window.ear ??= window.listen(window.call.stream);
      return window.loudest(window.ear);
    };
  }, [await token(name), PLAIN]);
}

const logged = (page, line) => until(line, () => page.evaluate((line) => window.log.includes(line), line));
const hears = (page, tone) => until(`${tone} Hz`, async () => Math.abs((await page.evaluate(() => window.hear())) - tone) <= 12);

// Both ends of the pair in use, by address and port.
const pair = (page) => page.evaluate(async () => {
  const call = window.call;
  const quality = await call.stats();
  return quality.path && { ...quality.path, received: quality.received, mos: quality.mos };
});

async function byPackage(alice, bob) {
  await load(alice.page, 'alice');
  await load(bob.page, 'bob');
  tell('connected', await bob.page.evaluate(() => window.client.name));
  await alice.page.evaluate(async () => window.follow(await window.client.call('bob')));
  await logged(bob.page, 'incoming alice');
  must((await alice.page.evaluate(() => window.call.state)) === 'ringing', 'it rings');
  await bob.page.evaluate(() => window.call.accept());
  for (const page of [alice.page, bob.page]) await logged(page, 'state up');
  tell('up');
  await hears(alice.page, options.tones.bob);
  await hears(bob.page, options.tones.alice);
  tell('heard both');
  await until('a score', async () => (await pair(alice.page))?.mos > 4);
  for (const page of [alice.page, bob.page]) {
    const { local, remote, protocol } = await pair(page);
    tell('pair', `${local} ${remote} ${protocol}`);
  }
  await bob.page.evaluate(() => window.call.mute());
  await until('told of mute', () => alice.page.evaluate(() => window.call.remote.muted));
  await until('silence', async () => (await alice.page.evaluate(() => window.hear())) === 0);
  await bob.page.evaluate(() => window.call.mute(false));
  await hears(alice.page, options.tones.bob);
  tell('muted and back');
  // Alice has no network for a while: what is said meanwhile is told when she is back, and the call looks for another path.
  await alice.context.setOffline(true);
  await alice.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await logged(alice.page, 'disconnected');
  await bob.page.evaluate(() => window.call.sendDigits('42#'));
  await alice.context.setOffline(false);
  await logged(alice.page, 'dtmf 42#');
  must((await alice.page.evaluate(() => window.log.filter((line) => line === 'dtmf 42#').length)) === 1, 'told once');
  tell('resumed');
  await logged(alice.page, 'path restarting');
  await hears(alice.page, options.tones.bob);
  await hears(bob.page, options.tones.alice);
  const before = (await pair(alice.page)).received;
  await until('more packets', async () => (await pair(alice.page)).received > before + 50);
  tell('restarted');
  await alice.page.evaluate(() => window.call.hangUp());
  await logged(bob.page, 'ended hung-up');
  must((await bob.page.evaluate(() => window.call.state)) === 'ended', 'it is over');
  tell('ended');
  const refused = await alice.page.evaluate(() => window.client.call('nobody').catch((error) => error.kind));
  tell('refused', refused);
}

const hearsLast = (page, tone) => until(`${tone} Hz`, async () => Math.abs((await page.evaluate(() => window.hearLast())) - tone) <= 12);
// For who is at the other end, and writes down what it hears.
const talk = () => pause(4000);

// A phone number: the node calls it, by the rights of the user that the key names.
async function byNumber({ page }) {
  await load(page, 'alice');
  await page.evaluate(async () => window.follow(await window.client.call('+1 555 123-4567')));
  await logged(page, 'state up');
  must((await page.evaluate(() => `${window.call.peer} ${window.call.direct}`)) === '+1 555 123-4567 false', 'who is called');
  tell('number', 'up');
  await hearsLast(page, options.tones.carrier);
  const { local, remote, protocol } = await pair(page);
  tell('number', `pair ${local.replace('prflx', 'host')} ${remote} ${protocol}`);
  await talk();
  await page.evaluate(() => window.call.dtmf('15#'));
  await page.evaluate(() => window.call.hold());
  await until('on hold', () => page.evaluate(() => window.log.includes('updated')));
  await until('silence', async () => (await page.evaluate(() => window.hearLast())) === 0);
  await page.evaluate(() => window.call.hold(false));
  await hearsLast(page, options.tones.carrier);
  tell('number', 'held and back');
  // Another path: an offer, and its answer by the node.
  await page.evaluate(() => window.call.restart());
  await logged(page, 'path restarting');
  await pause(2000);
  await hearsLast(page, options.tones.carrier);
  await talk();
  await page.evaluate(() => window.call.hangUp());
  tell('number', 'ended');
  // One that leads nowhere has ended before anybody could ask; who asks then is told.
  await page.evaluate(async () => window.follow(await window.client.call({ number: '5' })));
  await logged(page, 'ended not-found');
  const refused = await page.evaluate(() => window.client.call('sip:bob@elsewhere.example').catch((error) => error.kind));
  tell('number', `refused ${refused}`);
}

// A third is added: the call between the two moves into a room, where all hear each other.
async function byMeeting(alice, bob) {
  await load(alice.page, 'alice');
  await load(bob.page, 'bob');
  await alice.page.evaluate(async (secret) => {
    const { connect } = await import('/sdk/tandem.js');
    window.carol = await connect(secret, { play: false });
    window.carol.on('incoming', async (call) => {
      await call.accept();
      window.log.push(`carol accepts ${call.peer}`);
      call.on('state', (state) => state === 'up' && call.mute());
    });
  }, await token('carol'));
  await alice.page.evaluate(async () => window.follow(await window.client.call('bob')));
  await logged(bob.page, 'incoming alice');
  await bob.page.evaluate(() => window.call.accept());
  for (const page of [alice.page, bob.page]) await logged(page, 'state up');
  await hears(bob.page, options.tones.alice);
  await alice.page.evaluate(() => window.call.addParticipant('carol'));
  await logged(alice.page, 'carol accepts alice');
  for (const page of [alice.page, bob.page]) {
    await until('moved', () => page.evaluate(() => window.log.some((line) => line.startsWith('moved 88'))));
    await page.evaluate(() => { window.ear = null; });
  }
  await hears(alice.page, options.tones.bob);
  await hears(bob.page, options.tones.alice);
  const states = await alice.page.evaluate(() => `${window.call.state} ${window.call.direct} ${window.log.filter((line) => line.startsWith('ended')).length}`);
  must(states === 'up false 0', `the call goes on: ${states}`);
  tell('meeting', 'heard both');
  for (const page of [alice.page, bob.page]) await page.evaluate(() => window.call.hangUp());
  await alice.page.evaluate(() => window.carol.close());
  tell('meeting', 'ended');
}

// A room that asks for a PIN: a wrong one is an error with a kind, and by the right one somebody is in it.
async function byPin({ page }) {
  await load(page, 'alice');
  await page.evaluate(async () => {
    window.follow(await window.client.call({ room: 'safe' }));
    window.call.on('pin', (asked) => window.log.push(`pin ${asked && `${asked.wrong} ${asked.left}`}`));
    window.call.on('members', () => window.log.push('inside'));
  });
  await logged(page, 'pin 0 3');
  const give = (pin) => page.evaluate((pin) => window.call.enterPin(pin).then(() => 'right', ({ kind, message }) => `${kind}: ${message}`), pin);
  tell('pin', await give('1111'));
  tell('pin', await give('47a'));
  tell('pin', await give('4711'));
  await logged(page, 'inside');
  tell('pin', await give('4711'));
  must((await page.evaluate(() => window.call.pin)) === null, 'it is no longer asked for');
  await page.evaluate(() => window.call.hangUp());
  // Who is wrong too often is told so, and sent away.
  await page.evaluate(async () => {
    window.log = [];
    window.follow(await window.client.call({ room: 'safe' }));
  });
  await until('asked', () => page.evaluate(() => window.call.pin !== null));
  for (const pin of ['1', '2', '3']) tell('pin', await give(pin));
  await logged(page, 'ended not-allowed');
  tell('pin', 'done');
}

const small = { width: 320, height: 640 };
const phone = { width: 390, height: 844 };
const large = { width: 1280, height: 800 };

// How the page looks now, on a phone and on a desk, by day and by night.
async function pictures(page, name) {
  for (const [size, of] of [['', phone], ['-large', large]]) {
    for (const dark of [false, true]) await picture(page, `${name}${size}${dark ? '-dark' : ''}`, { ...of, dark });
  }
}

async function byPhonePage(alice, bob) {
  for (const [name, { page }] of [['alice', alice], ['bob', bob]]) {
    await page.goto('about:blank');
    await page.goto(`${options.url}/phone`);
    if (name === 'alice') await pictures(page, 'phone-enter');
    await page.keyboard.type(await token(name));
    await page.keyboard.press('Enter');
    await page.waitForFunction((name) => document.getElementById('who').textContent === name, name);
  }
  const { page } = alice;
  await page.keyboard.type('nobody');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#trouble:not([hidden])');
  tell('phone', await page.textContent('#trouble'));
  await picture(page, 'phone-dial', { ...phone, dark: true });
  await page.fill('#to', 'bob');
  await page.keyboard.press('Enter');
  await bob.page.waitForSelector('#incoming:not([hidden])');
  await picture(bob.page, 'phone-incoming', { ...small, dark: false });
  // The button that accepts has the focus.
  await bob.page.keyboard.press('Enter');
  for (const one of [page, bob.page]) await one.waitForFunction(() => document.getElementById('state').textContent === 'Connected');
  await page.waitForFunction(() => document.getElementById('quality-text').textContent.startsWith('Good'));
  await picture(page, 'phone-talk', { ...phone, dark: false });
  await picture(page, 'phone-talk-dark', { ...small, dark: true });
  await picture(page, 'phone-talk-large', { ...large, dark: false });
  await page.keyboard.press('m');
  await bob.page.waitForFunction(() => document.getElementById('state').textContent === 'The other is muted');
  await page.keyboard.press('Escape');
  for (const one of [page, bob.page]) await one.waitForSelector('#dial:not([hidden])');
  const overs = await Promise.all([page, bob.page].map((one) => one.textContent('#over')));
  must(overs.join('|') === '|alice has hung up.', `who has hung up: ${overs}`);
  // A call that leads nowhere says why.
  await page.fill('#to', '5');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#trouble:not([hidden])');
  tell('phone', await page.textContent('#trouble'));
  await pictures(page, 'phone-failed');
  // A room asks for its PIN, in words.
  await page.fill('#to', 'room:safe');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#door:not([hidden])');
  tell('phone', await page.textContent('#pin-title'));
  await pictures(page, 'phone-pin');
  must(await page.evaluate(() => document.activeElement?.id === 'pin'), 'it may be typed at once');
  await page.keyboard.type('1111');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#trouble:not([hidden])');
  tell('phone', await page.textContent('#trouble'));
  await pictures(page, 'phone-pin-wrong');
  await page.keyboard.type('4711');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#door', { state: 'hidden' });
  await page.waitForFunction(() => document.getElementById('state').textContent === 'Connected');
  must(await page.isHidden('#trouble'), 'what was wrong is right');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#dial:not([hidden])');
  tell('phone', 'done');
}

// The lines that README has, on a page of somebody else: they are what a developer pastes. The page calls a phone number.
async function byReadme({ page }) {
  const [lines] = readFileSync(options.readme, 'utf8').match(/ {4}<button[\s\S]*?<\/script>/) ?? [];
  must(lines, 'README has lines for a page');
  let html = `<!doctype html>\n${lines.replaceAll('https://NODE:8445', options.url)}`;
  await page.route(`${options.origin}/**`, async (route) => {
    if (new URL(route.request().url()).pathname !== '/token') return route.fulfill({ contentType: 'text/html', body: html });
    return route.fulfill({ contentType: 'text/plain', body: await token('alice') });
  });
  await page.goto(`${options.origin}/`);
  // A click before it is connected does nothing that can be seen.
  for (let tries = 0; tries < 40 && (await page.evaluate(() => window.connections.length)) === 0; tries += 1) {
    await page.click('#call');
    await page.waitForTimeout(1000);
  }
  await hearsLast(page, options.tones.carrier);
  await talk();
  await page.click('#end');
  await until('the end', () => page.evaluate(() => window.connections.at(-1).connectionState === 'closed'));
  // What its user reads of a call that leads nowhere, and of a node that does not know him.
  const reads = async (words) => {
    await page.goto(`${options.origin}/`);
    await page.waitForFunction(() => document.getElementById('call').onclick);
    await page.click('#call');
    await until(words, async () => {
      const told = await page.textContent('#told');
      return told.startsWith(words) || told;
    });
    tell('readme', words);
  };
  must(html.includes("'+15551234567'"), 'README calls a number');
  html = html.replace("'+15551234567'", "{ number: '5' }");
  await reads('The call is over: not-found.');
  html = html.replace("fetch('/token').then((answer) => answer.text())", "'nonsense'");
  await reads('The access token is not good here');
  tell('readme', 'done');
}

run(async () => {
  const [alice, bob] = await Promise.all([browser('alice'), browser('bob')]);
  await byPackage(alice, bob);
  await byPhonePage(alice, bob);
  await byPin(alice);
  await byMeeting(alice, bob);
  await byNumber(alice);
  await byReadme(alice);
  await Promise.all([alice.context.close(), bob.context.close()]);
  tell('done');
});
