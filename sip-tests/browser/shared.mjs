// What the drivers of browsers share: their options, which are JSON in the first argument, the lines that tell of their steps, Chromium, and what
// every page has for a test to look at and listen to.

import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';

export const options = JSON.parse(process.argv[2]);
export const here = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname);
export const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
// Whatever certificate a node has; whoever asks may use the microphone, and play.
export const TRUSTS = ['--ignore-certificate-errors', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required'];
// A page of the node may reach what is in the same network.
export const REACHES = '--disable-features=LocalNetworkAccessChecks';
// What the browser would make of a tone.
export const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export const tell = (...what) => console.log(`STEP ${what.join(' ')}`.trim());

export function fail(error) {
  console.log(`FAILED ${error?.stack ?? error}`);
  process.exit(1);
}

export function must(is, what) {
  if (!is) throw new Error(what);
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Until a look gives true; what else it gives is told when that never happens.
export async function until(what, look, tries = 400) {
  let last;
  for (let nth = 0; nth < tries; nth += 1) {
    last = await look();
    if (last === true) return;
    await pause(50);
  }
  throw new Error(`never: ${what}; last ${JSON.stringify(last)}`);
}

// What an operator's back end does. The node's certificate is its own: NODE_TLS_REJECT_UNAUTHORIZED.
export async function token(identity, key = options.key) {
  const answer = await fetch(`${options.url}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ identity }),
  });
  must(answer.status === 201, `a token: ${answer.status}`);
  return (await answer.json()).token;
}

// In each page, before it begins.
function prepare() {
  window.connections = [];
  const Own = RTCPeerConnection;
  window.RTCPeerConnection = class extends Own {
    constructor(...details) {
      super(...details);
      window.connections.push(this);
    }
  };
  // An ear for all tracks of a stream.
  window.listen = (stream) => {
    const context = new AudioContext({ sampleRate: 48000 });
    const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    for (const track of stream.getAudioTracks()) context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    return analyser;
  };
  // The loudest tone that it hears, in Hz; 0 where it is silent.
  window.loudest = (analyser) => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const at = bins.reduce((best, level, nth) => (level > bins[best] ? nth : best), 0);
    return bins[at] > -60 ? Math.round((at * 48000) / 8192) : 0;
  };
  // The same of what comes by the last connection, whatever has made it.
  window.hearLast = () => {
    const connection = window.connections.at(-1);
    const track = connection.getReceivers()[0]?.track;
    if (!track) return 0;
    if (window.last?.connection !== connection) window.last = { connection, ear: window.listen(new MediaStream([track])) };
    return window.loudest(window.last.ear);
  };
  // How loud each of these tones is, in dB.
  window.loudness = (analyser, tones) => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const at = (hz) => Math.round((hz * analyser.fftSize) / analyser.context.sampleRate);
    return tones.map((hz) => Math.max(...bins.slice(at(hz) - 1, at(hz) + 2)));
  };
}

// Chromium with a page, and a microphone that says the tone of this name; with `film` a camera, too.
export async function browser(name, { flags = [...TRUSTS, REACHES], film = false, executable = options.chromium } = {}) {
  const own = [`--use-file-for-fake-audio-capture=${join(options.folder, `${name}.wav`)}`];
  if (film) own.push(`--use-file-for-fake-video-capture=${join(options.folder, `${name}.y4m`)}`);
  const context = await chromium.launchPersistentContext(join(options.folder, `profile-${name}`), {
    executablePath: executable,
    headless: true,
    ignoreHTTPSErrors: flags.includes(TRUSTS[0]),
    args: [...FLAGS, ...flags, '--use-fake-device-for-media-stream', ...own],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.on('console', (message) => console.log(`${name}: ${message.text()}`));
  page.on('pageerror', fail);
  await page.addInitScript(prepare);
  return { name, context, page };
}

// As it is seen on a screen of this size. Whoever wants to look at pictures says where they are to stay.
export async function picture(page, name, { width, height, dark }, more = {}) {
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(process.env.PICTURES ?? options.folder, `${name}.png`), ...more });
  // Nothing sticks out to the side.
  must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits`);
}

// Does it all, in time; `report` may say more of what went wrong.
export function run(main, report = async () => {}) {
  setTimeout(() => fail(`not done in ${options.seconds} s`), options.seconds * 1000).unref();
  main().then(() => process.exit(0)).catch(async (error) => {
    await report().catch(() => {});
    fail(error);
  });
}
