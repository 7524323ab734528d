// Drives two pages with cameras in a room with a phone: one by the package, one by the phone page. Who is seen, under which name, with which
// colour; who speaks; a shared screen. Or who gets which layer of a camera (`play` is `layers`). One line of output for each step; what goes wrong ends it with 1. Usage: node meeting.mjs OPTIONS, with JSON
// as in sip-tests/tests/client_sdk/meeting.rs.

import { execFileSync } from 'node:child_process';
import { PLAIN, REACHES, TRUSTS, browser as open, must, options, picture, run, tell, token, until } from './shared.mjs';

/** @type {{ name: string, page: import('playwright-core').Page }[]} */
const all = [];

async function browser(name) {
  const one = await open(name, { flags: [...TRUSTS, REACHES, '--auto-accept-this-tab-capture'], film: true });
  const { page } = one;
  await page.addInitScript(() => {
    // All cameras that were taken. The browser asks for one until `window.allow` is called, where a test has it ask.
    window.taken = [];
    window.asks = () => { window.asked = new Promise((resolve) => { window.allow = resolve; }); };
    const devices = navigator.mediaDevices;
    const take = devices?.getUserMedia.bind(devices);
    if (take) {
      devices.getUserMedia = async (wanted) => {
        const stream = await take(wanted);
        window.taken.push(...stream.getVideoTracks());
        if (wanted.video) await window.asked;
        return stream;
      };
    }
    // What of the video is counted, for who looks for a fault.
    window.counted = async () => {
      const reports = [...((await window.connections.at(-1)?.getStats()) ?? new Map()).values()];
      const kinds = ['mid', 'rid', 'type', 'active', 'packetsSent', 'framesEncoded', 'keyFramesEncoded', 'frameWidth', 'targetBitrate', 'pliCount', 'nackCount', 'qualityLimitationReason',
        'packetsReceived', 'packetsLost', 'framesReceived', 'framesDecoded', 'keyFramesDecoded', 'availableOutgoingBitrate'];
      return reports.filter(({ type, kind }) => (type.endsWith('-rtp') && !type.startsWith('remote') && kind === 'video') || type === 'candidate-pair')
        .map((report) => JSON.stringify(Object.fromEntries(kinds.filter((kind) => report[kind] !== undefined).map((kind) => [kind, report[kind]]))));
    };
    // The colour in the midst of a video and the frames that it has shown.
    window.look = (video) => {
      if (!video.videoWidth) return { frames: 0 };
      const canvas = new OffscreenCanvas(16, 16).getContext('2d');
      canvas.drawImage(video, 0, 0, 16, 16);
      const { totalVideoFrames } = video.getVideoPlaybackQuality();
      return { frames: totalVideoFrames, colour: [...canvas.getImageData(8, 8, 1, 1).data].slice(0, 3), width: video.videoWidth };
    };
  });
  all.push(one);
  return one;
}

const CHANNEL = { red: 0, green: 1, blue: 2 };
const isOf = (colour, rgb) => rgb !== undefined && rgb[CHANNEL[colour]] > 110 && rgb.every((v, nth) => nth === CHANNEL[colour] || v < rgb[CHANNEL[colour]] / 1.6);

// What moves on and has this colour.
async function moves(what, colour, look) {
  let before;
  await until(`${what} is ${colour}`, async () => {
    const seen = await look();
    if (!seen || !isOf(colour, seen.colour)) return seen ?? 'nothing';
    before ??= seen.frames;
    return seen.frames >= before + 20 || seen;
  });
  tell(what, `is ${colour}`);
}

// A page that has the package and nothing else.
async function load({ page, name }, camera = { width: 640, height: 360 }, key = options.key) {
  await page.goto(`${options.url}/phone`);
  await page.evaluate(async ([secret, audio, video]) => {
    const { connect } = await import('/sdk/tandem.js');
    window.client = await connect(secret, { audio, video, places: 4 });
    window.log = [];
    window.follow = (call) => {
      window.call = call;
      for (const event of ['moved', 'ended']) call.on(event, () => window.log.push(event));
      call.on('screen', (track) => window.log.push(`screen ${track ? 'on' : 'off'}`));
      call.on('camera', (track) => window.log.push(`camera ${track ? 'on' : 'off'}`));
      call.on('video', (all) => window.log.push(`video ${all.map(({ name, screen }) => `${name}${screen ? ' screen' : ''}`).join(', ')}`.trim()));
    };
    // What a page shows of somebody.
    window.shows = (name, screen) => {
      const seen = window.call.videos.find((one) => one.name === name && one.screen === screen);
      if (!seen) return null;
      window.elements ??= new Map();
      let video = window.elements.get(seen.track);
      if (!video) {
        video = document.createElement('video');
        Object.assign(video, { autoplay: true, muted: true, srcObject: new MediaStream([seen.track]) });
        document.body.append(video);
        window.elements.set(seen.track, video);
      }
      return window.look(video);
    };
  }, [await token(name, key), PLAIN, camera]);
}

async function pictures(page, name) {
  const small = { width: 360, height: 740 };
  const wide = { width: 1280, height: 800 };
  for (const [size, is] of [['small', small], ['wide', wide]]) {
    for (const dark of [true, false]) await picture(page, `${name}-${size}${dark ? '-dark' : ''}`, { ...is, dark });
    const wrong = await page.evaluate(() => {
      const tiles = [...document.querySelectorAll('#stage > .tile:not([hidden])')];
      const box = (element) => element.getBoundingClientRect();
      const cover = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      if (tiles.some((one, nth) => tiles.slice(nth + 1).some((other) => cover(box(one), box(other))))) return 'one tile covers another';
      const end = box(document.getElementById('hangup'));
      return end.top < 0 || end.bottom > innerHeight ? 'the end of the call is out of sight' : '';
    });
    must(wrong === '', `${name}, ${size}: ${wrong}`);
  }
}

const tile = (page, name) => page.evaluate((name) => {
  const tile = document.querySelector(`.tile[data-name="${name}"]`);
  const video = tile?.querySelector('video');
  return video && !video.hidden ? window.look(video) : null;
}, name);

async function inRoom(alice, bob) {
  await load(alice);
  await alice.page.evaluate(async () => window.follow(await window.client.call('room:3000')));
  await bob.page.goto('about:blank');
  await bob.page.goto(`${options.url}/phone#token=${await token('bob')}`);
  await bob.page.waitForFunction(() => document.activeElement?.id === 'to');
  await bob.page.keyboard.type('room:3000');
  await bob.page.keyboard.press('Enter');
  await bob.page.waitForFunction(() => document.getElementById('state').textContent === 'Connected');
  // By keys alone.
  await bob.page.keyboard.press('c');
  await bob.page.waitForSelector('#own:not([hidden])');
  await alice.page.evaluate(() => window.call.camera());
  await moves('alice sees bob, who', 'blue', () => alice.page.evaluate(() => window.shows('bob', false)));
  await moves('bob sees alice, who', 'red', () => tile(bob.page, 'alice'));
  const names = () => alice.page.evaluate(() => window.call.members.map(({ name, me }) => (me ? `(${name})` : name)).sort().join(' '));
  await until('all three', async () => (await names()) === `(alice) ${options.phone} bob` || names());
  tell('members', await names());
  // The phone has no picture, but a tile, which says that it speaks.
  await bob.page.waitForSelector(`.tile.speaks[data-name="${options.phone}"]`);
  if (await tile(bob.page, options.phone)) throw new Error('a phone has no picture');
  tell('the phone speaks');
  await until('alice is told who speaks', () => alice.page.evaluate((phone) => {
    const { id } = window.call.members.find(({ name }) => name === phone);
    return window.call.speaking.includes(id) || window.call.speaking;
  }, options.phone));
  await pictures(bob.page, 'group');
}

async function screenShared(alice, bob) {
  // The screen of these tests is a green film.
  const track = await alice.page.evaluate(async () => (await window.call.shareScreen())?.label);
  tell('screen', `shared: ${track !== undefined}`);
  await moves("bob sees alice's screen, which", 'green', () => tile(bob.page, 'alice: screen'));
  await moves('bob still sees alice, who', 'red', () => tile(bob.page, 'alice'));
  await pictures(bob.page, 'screen');
  await alice.page.evaluate(() => window.call.shareScreen(false));
  await until('the screen is gone', () => bob.page.evaluate(() => document.querySelector('.tile.screen') === null));
  tell('screen', 'gone');
}

async function off(alice, bob) {
  await bob.page.keyboard.press('c');
  await until('bob is not seen', () => alice.page.evaluate(() => !window.call.videos.some(({ name }) => name === 'bob')));
  await bob.page.waitForSelector('#own', { state: 'hidden' });
  tell('camera', 'off');
  await bob.page.keyboard.press('c');
  await moves('alice sees bob again, who', 'blue', () => alice.page.evaluate(() => window.shows('bob', false)));
  await bob.page.keyboard.press('m');
  await until('bob is muted', () => alice.page.evaluate(() => window.call.members.find(({ name }) => name === 'bob').muted));
  tell('muted');
  await bob.page.keyboard.press('Escape');
  await until('bob is gone', () => alice.page.evaluate(() => !window.call.members.some(({ name }) => name === 'bob')));
  if (await bob.page.evaluate(() => document.querySelectorAll('.tile[data-name]').length)) throw new Error('tiles are left');
  tell('gone');
}

// Whatever is clicked while the browser asks: no camera is left on that nobody sees.
async function noneLeftOn({ page }) {
  const on = () => page.evaluate(() => window.taken.filter(({ readyState }) => readyState === 'live').length);
  const none = async (what) => {
    await until(`no camera is on: ${what}`, async () => (await on()) === 0 || on(), 60);
    tell('no camera is on', what);
  };
  await page.evaluate(async () => {
    await window.call.camera(false);
    window.asks();
    const twice = [window.call.camera(), window.call.camera()];
    window.allow();
    const [one, other] = await Promise.all(twice);
    if (one !== other || one !== window.call.ownCamera) throw new Error('there is one camera');
    await window.call.camera(false);
  });
  await none('clicked twice');
  await page.evaluate(async () => {
    await window.call.camera();
    window.asks();
    window.rest = window.call.camera(false).then(() => window.call.camera()).catch(({ kind }) => kind);
    window.before = window.taken.length;
  });
  await until('the browser asks', () => page.evaluate(() => window.taken.length > window.before));
  await page.evaluate(() => window.call.hangUp());
  await until('the call has ended', () => page.evaluate(() => window.log.includes('ended')));
  const told = await page.evaluate(async () => { window.allow(); return window.rest; });
  if (told !== 'ended') throw new Error(`what a page is told of a camera that came too late: ${told}`);
  await none('the call has ended');
}

// Two pages see each other directly, and go on seeing each other when a third brings them into a room.
async function direct(alice, bob) {
  await load(alice);
  await load(bob);
  await bob.page.evaluate(() => window.client.on('incoming', (call) => { window.follow(call); call.accept(); }));
  await alice.page.evaluate(async () => window.follow(await window.client.call('bob')));
  for (const { page } of [alice, bob]) {
    await page.waitForFunction(() => window.call?.state === 'up');
    await page.evaluate(() => window.call.camera());
  }
  await moves('directly alice sees bob, who', 'blue', () => alice.page.evaluate(() => window.shows('bob', false)));
  await moves('directly bob sees alice, who', 'red', () => bob.page.evaluate(() => window.shows('alice', false)));
  await bob.page.evaluate(() => window.call.camera(false));
  await until('bob is dark', () => alice.page.evaluate(() => window.call.videos.length === 0));
  await bob.page.evaluate(() => window.call.camera());
  await alice.page.evaluate(async (secret) => {
    const { connect } = await import('/sdk/tandem.js');
    window.carol = await connect(secret, { play: false });
    window.carol.on('incoming', (call) => call.accept());
  }, await token('carol'));
  // The browser asks alice for her camera all the while.
  await alice.page.evaluate(async () => {
    await window.call.camera(false);
    window.asks();
    window.call.camera();
  });
  await alice.page.evaluate(() => window.call.addParticipant('carol'));
  for (const { page } of [alice, bob]) await page.waitForFunction(() => window.log.includes('moved'));
  await alice.page.evaluate(() => window.allow());
  await moves('moved alice sees bob, who', 'blue', () => alice.page.evaluate(() => window.shows('bob', false)));
  await moves('moved bob sees alice, who', 'red', () => bob.page.evaluate(() => window.shows('alice', false)));
  // A camera that goes dark goes off, too, where the call ends meanwhile.
  for (const { page } of [alice, bob]) {
    await page.evaluate(() => { window.call.camera(false).catch(() => {}); return window.call.hangUp(); });
  }
  await until('no camera is on', () => alice.page.evaluate(() => window.taken.every(({ readyState }) => readyState === 'ended')));
  await alice.page.evaluate(() => window.carol.close());
}

// How wide the picture of alice is that somebody gets, in so many looks.
async function widths({ page }, looks) {
  const all = [];
  for (let nth = 0; nth < looks; nth += 1) {
    all.push(await page.evaluate(() => window.shows('alice', false)?.width ?? 0));
    await page.waitForTimeout(250);
  }
  return all;
}

// Who has room for it gets the large layer of a camera, and at the same time somebody else the small one: on the way to him no more gets through.
async function layers(alice, bob, carol) {
  for (const one of [alice, bob, carol]) {
    await load(one, { width: options.width, height: (options.width * 9) / 16 });
    await one.page.evaluate(async () => window.follow(await window.client.call('room:3000')));
    await one.page.waitForFunction(() => window.call.state === 'up');
  }
  const port = await carol.page.evaluate(async () => {
    const reports = await window.connections.at(-1).getStats();
    const all = [...reports.values()];
    const pair = reports.get(all.find(({ type }) => type === 'transport').selectedCandidatePairId);
    return reports.get(pair.localCandidateId).port;
  });
  const narrow = ['-p', 'udp', '--dport', String(port), '-m', 'hashlimit', '--hashlimit-above', '37kb/s', '--hashlimit-name', 'narrow', '-j', 'DROP'];
  execFileSync('iptables', ['-A', 'OUTPUT', ...narrow]);
  await alice.page.evaluate(() => window.call.camera());
  const is_wide = async () => (await bob.page.evaluate(() => window.shows('alice', false)?.width)) === options.width;
  await until('bob gets the large layer', async () => (await is_wide()) || bob.page.evaluate(() => window.shows('alice', false)), 1200);
  await until('carol gets the small layer', async () => (await widths(carol, 1))[0] === options.width / 4);
  const [large, small] = await Promise.all([widths(bob, 60), widths(carol, 60)]);
  console.log(`bob ${large.join(' ')}; carol ${small.join(' ')}`);
  const most = (all, width) => all.filter((one) => one === width).length / all.length;
  if (most(large, options.width) < 0.9) throw new Error('bob has the large layer');
  // A larger one is tried from time to time.
  if (most(small, options.width / 4) < 0.5) throw new Error('carol has the small layer');
  tell('layers', `bob ${options.width} carol ${options.width / 4}`);
  // The way is as wide as any other again.
  execFileSync('iptables', ['-D', 'OUTPUT', ...narrow]);
  await until('carol gets a larger layer', async () => (await carol.page.evaluate(() => window.shows('alice', false)?.width)) > options.width / 4, 1200);
  tell('layers', 'carol larger');
  for (const { page } of [alice, bob, carol]) await page.evaluate(() => window.call.hangUp());
}

// A room calls Dora by her number, who is at a page.
async function called(alice, dora) {
  await load(alice);
  await load(dora, undefined, options.office);
  await alice.page.evaluate(async () => window.follow(await window.client.call('room:3000')));
  await alice.page.waitForFunction(() => window.call.state === 'up');
  await alice.page.evaluate(() => window.call.camera());
  await dora.page.evaluate(() => window.client.on('incoming', (call) => { window.follow(call); call.accept(); }));
  await alice.page.evaluate(() => window.call.addParticipant({ number: '105' }));
  await dora.page.waitForFunction(() => window.call?.state === 'up');
  tell('room', `${await dora.page.evaluate(() => window.call.room)} rings`);
  await dora.page.evaluate(() => window.call.camera());
  // She is asked whether she wants to be in it.
  await dora.page.evaluate(() => window.call.dtmf('1'));
  await moves('dora sees alice, who', 'red', () => dora.page.evaluate(() => window.shows('alice', false)));
  await moves('alice sees dora, who', 'blue', () => alice.page.evaluate(() => window.shows('dora', false)));
  const names = () => dora.page.evaluate(() => window.call.members.map(({ name, me }) => (me ? `(${name})` : name)).join(' '));
  await until('both', async () => (await names()) === 'alice (dora)' || names());
  tell('members', await names());
  tell('dora', await dora.page.evaluate(() => window.call.shareScreen().catch(({ kind }) => kind)));
  for (const { page } of [alice, dora]) await page.evaluate(() => window.call.hangUp());
}

async function main() {
  if (options.play === 'called') {
    const both = await Promise.all(['alice', 'dora'].map(browser));
    await called(...both);
    await Promise.all(both.map(({ context }) => context.close()));
    return tell('done');
  }
  if (options.play === 'layers') {
    const all = await Promise.all(['alice', 'bob', 'carol'].map(browser));
    await layers(...all);
    await Promise.all(all.map(({ context }) => context.close()));
    return tell('done');
  }
  const [alice, bob] = await Promise.all([browser('alice'), browser('bob')]);
  await inRoom(alice, bob);
  await screenShared(alice, bob);
  await off(alice, bob);
  await noneLeftOn(alice);
  await direct(alice, bob);
  await Promise.all([alice.context.close(), bob.context.close()]);
  tell('done');
}

run(main, async () => {
  for (const { name, page } of all) for (const line of await page.evaluate(() => window.counted()).catch(() => [])) console.log(`${name} ${line}`);
});
