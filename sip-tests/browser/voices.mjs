// Drives three pages with the package in a room that forwards voices: each is heard by the others on a line of its own, and all lines
// are played. Then a call between two moves into such a room. One line of output for each step; what goes wrong ends it with 1. Usage: node voices.mjs OPTIONS,
// with JSON as in sip-tests/tests/client_sdk/voices.rs.

import { PLAIN, browser, must, options, run, tell, token, until } from './shared.mjs';

const TONES = options.tones;

async function load({ page, name }) {
  await page.goto(`${options.url}/phone`);
  await page.evaluate(async ([secret, audio]) => {
    const { connect } = await import('/sdk/tandem.js');
    window.client = await connect(secret, { audio });
    window.log = [];
    window.elements = [];
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
      if (!window.elements.includes(this)) window.elements.push(this);
      return play.call(this);
    };
    window.follow = (call) => {
      window.call = call;
      call.on('moved', () => window.log.push('moved'));
      call.on('stream', (stream) => { window.log.push(`stream ${stream.getAudioTracks().length}`); });
    };
    window.client.on('incoming', (call) => { window.follow(call); call.accept(); });
    // How loud each of these is in what comes.
    window.heard = (tones) => {
      if (window.ear?.stream !== window.call.stream) window.ear = { stream: window.call.stream, analyser: window.listen(window.call.stream) };
      return window.loudness(window.ear.analyser, tones);
    };
    // Of what plays in the page: how many tracks an element has that is heard.
    window.plays = () => window.elements.filter((element) => !element.paused && !element.muted && element.srcObject).map(({ srcObject }) => srcObject.getAudioTracks().length).join();
    // Packets of each line of sound, by its name, and of those that were sent.
    window.lines = async () => {
      const reports = [...(await window.connections.at(-1).getStats()).values()];
      return reports.filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio').map(({ mid, packetsReceived, packetsLost, jitterBufferEmittedCount }) => ({ mid, packets: packetsReceived, lost: packetsLost, played: jitterBufferEmittedCount }));
    };
  }, [await token(name), PLAIN]);
}

// These and no others of the tones.
async function hears({ page, name }, others) {
  const all = Object.keys(TONES);
  await until(`${name}: ${others.join(' ')}`, async () => {
    const levels = await page.evaluate((tones) => window.heard(tones), Object.values(TONES));
    const loud = all.filter((_, nth) => levels[nth] > -50).join();
    return loud === others.join() || levels;
  });
  tell(name, 'heard', others.join(' '));
}

// The page has an element that plays all lines, or none that is heard.
async function plays({ page, name }, tracks) {
  await until(`${name} plays ${tracks}`, async () => {
    const now = await page.evaluate(() => window.plays());
    return now === tracks || now;
  });
  tell(name, 'plays', tracks);
}

const others = (name) => Object.keys(TONES).filter((one) => one !== name);

// Each of the others on a line of its own: on the first, which would have a mix, there is nothing.
async function apart({ page, name }) {
  const before = new Map((await page.evaluate(() => window.lines())).map(({ mid, packets, played }) => [mid, { packets, played }]));
  await until(`${name} gets two voices`, async () => {
    const lines = (await page.evaluate(() => window.lines())).filter(({ mid, packets }) => packets > (before.get(mid)?.packets ?? 0) + 50);
    return (lines.length === 2 && lines.every(({ mid, lost, played }) => mid !== '0' && lost === 0 && played > (before.get(mid)?.played ?? 0) + 24_000)) || lines;
  });
  const lines = await page.evaluate(() => window.lines());
  console.log(`${name} ${JSON.stringify(lines)}`);
  tell(name, 'apart');
  const quality = await page.evaluate(() => window.call.stats());
  const sum = lines.reduce((sum, { packets }) => sum + packets, 0);
  must(quality.received >= sum && quality.mos > 4, `all lines count: ${JSON.stringify(quality)} of ${sum}`);
}

async function inRoom(all) {
  for (const one of all) {
    await load(one);
    await one.page.evaluate(async () => window.follow(await window.client.call('room:3001')));
    await one.page.waitForFunction(() => window.call.state === 'up');
  }
  for (const one of all) {
    await hears(one, others(one.name));
    await apart(one);
    console.log(`${one.name} offers ${await one.page.evaluate(() => window.connections.at(-1).localDescription.sdp.length)} octets`);
  }
  const [alice, bob, carol] = all;
  const streams = await alice.page.evaluate(() => window.log.filter((line) => line.startsWith('stream')).at(-1));
  must(streams === 'stream 4', `a track for the mix, and three for voices: ${streams}`);
  await plays(alice, '4');
  await until('alice is told who speaks', () => alice.page.evaluate(() => {
    const ids = window.call.members.filter(({ me }) => !me).map(({ id }) => id).sort();
    return ids.length === 2 && ids.every((id) => window.call.speaking.includes(id)) || window.call.speaking;
  }));
  await bob.page.evaluate(() => window.call.mute());
  await hears(alice, ['carol']);
  await bob.page.evaluate(() => window.call.mute(false));
  await alice.page.evaluate(() => window.call.hold());
  await plays(alice, '');
  await hears(carol, ['bob']);
  await alice.page.evaluate(() => window.call.hold(false));
  await hears(alice, ['bob', 'carol']);
  await plays(alice, '4');
  await hears(carol, ['alice', 'bob']);
  tell('held and back');
  // Another path, and the lines are the same.
  await alice.page.evaluate(() => window.call.restart());
  await until('alice hears on', async () => {
    const state = await alice.page.evaluate(() => window.connections.at(-1).signalingState);
    return state === 'stable' || state;
  });
  await apart(alice);
  await hears(alice, ['bob', 'carol']);
  tell('restarted');
  // Long enough for the node to have measured the room twice with all in it.
  await until('as many packets as come in 22 s', async () => {
    const packets = (await carol.page.evaluate(() => window.lines())).reduce((sum, { packets }) => sum + packets, 0);
    return packets > 2 * 22 * 50 || packets;
  }, 1000);
  for (const { page } of all) await page.evaluate(() => window.call.hangUp());
}

async function moved(all) {
  const [alice, bob] = all;
  for (const one of all) await load(one);
  await alice.page.evaluate(async () => window.follow(await window.client.call('bob')));
  for (const { page } of [alice, bob]) await page.waitForFunction(() => window.call?.state === 'up');
  await hears(alice, ['bob']);
  await alice.page.evaluate(() => window.call.addParticipant('carol'));
  for (const { page } of [alice, bob]) await page.waitForFunction(() => window.log.includes('moved'));
  for (const one of all) {
    await hears(one, others(one.name));
    await apart(one);
  }
  tell('moved');
  for (const { page } of all) await page.evaluate(() => window.call.hangUp());
}

run(async () => {
  const all = await Promise.all(Object.keys(TONES).map((name) => browser(name)));
  await inRoom(all);
  await moved(all);
  await Promise.all(all.map(({ context }) => context.close()));
  tell('done');
});
