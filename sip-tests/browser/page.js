// A phone on a page, on one of two libraries: registers, answers what rings, and tells each step to `tell`, which the driver has put here.
// Options of the page: `library` (jssip or sipjs), `server`, `uri`, `password`, `silent` for one that asks for no microphone, and `trickles` for one that tells
// its candidates by INFO (jssip).

import { listen } from './ear.js';

const options = Object.fromEntries(new URLSearchParams(location.search));

function show(id, text) {
  document.getElementById(id).textContent = text;
}

function step(what, detail = '') {
  document.getElementById('log').textContent += `${what} ${detail}\n`;
  window.tell(what, String(detail));
}

let connection = null;

// The connection of a call is there.
function watch(peerconnection) {
  connection = peerconnection;
  connection.addEventListener('connectionstatechange', () => {
    show('media', peerconnection.connectionState);
    step('media', peerconnection.connectionState);
  });
  connection.addEventListener('track', ({ track }) => {
    const stream = new MediaStream([track]);
    document.getElementById('sound').srcObject = stream;
    listen(stream);
  });
}

// Without a microphone: 1,000 Hz of its own.
function oscillator() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 1000 });
  const sink = context.createMediaStreamDestination();
  tone.connect(new GainNode(context, { gain: 0.4 })).connect(sink);
  tone.start();
  return sink.stream;
}

// A tone is what the browser would take for noise and echo.
const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const { start } = await import(`./${options.library}.js`);
const phone = start({ ...options, audio, stream: options.silent ? oscillator() : null }, { step, show, watch });

// What the driver asks for.
window.dial = (target) => phone.dial(target);
window.hangUp = () => phone.hangUp();
window.press = (digits) => connection.getSenders().find(({ dtmf }) => dtmf).dtmf.insertDTMF(digits, 100, 70);
// The pair that ICE has chosen, and by what media is sealed; and from which port.
async function chosen() {
  const reports = [...(await connection.getStats()).values()];
  const of = (id) => reports.find((report) => report.id === id);
  const transport = reports.find((report) => report.type === 'transport');
  const pair = of(transport.selectedCandidatePairId);
  return { transport, own: of(pair.localCandidateId), theirs: of(pair.remoteCandidateId) };
}
window.path = async () => {
  const { transport, own, theirs } = await chosen();
  return `${own.candidateType}-${theirs.candidateType} ${own.protocol} ${transport.srtpCipher} ${transport.tlsVersion}`;
};
window.port = async () => (await chosen()).own.port;
// The addresses of its candidates, as it has told them.
window.candidates = () => [...connection.localDescription.sdp.matchAll(/a=candidate:\S+ 1 udp \d+ (\S+)/g)].map(([, address]) => address);
window.heard = async () => {
  let packets = 0;
  for (const report of (await connection.getStats()).values()) {
    if (report.type === 'inbound-rtp') packets += report.packetsReceived;
  }
  return packets;
};
