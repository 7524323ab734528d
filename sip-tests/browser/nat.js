// A phone on JsSIP that calls from behind NATs and firewalls. It may not use a microphone, and says a tone.
'use strict';

const options = Object.fromEntries(new URLSearchParams(location.search));
const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(options.server)],
  uri: options.uri,
  password: options.password,
  session_timers: false,
});
let session = null;
let analyser = null;

ua.on('registered', () => window.tell('registered'));
ua.on('newRTCSession', ({ session: call }) => {
  session = call;
  for (const event of ['confirmed', 'ended', 'failed']) call.on(event, ({ cause }) => window.tell(`${event} ${cause ?? ''}`.trim()));
});
ua.start();

function tone(hz) {
  const context = new AudioContext();
  const [oscillator, out] = [new OscillatorNode(context, { frequency: hz }), context.createMediaStreamDestination()];
  oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(out);
  oscillator.start();
  return out.stream;
}

// What comes is not only played, but looked at too.
function listen(stream) {
  document.getElementById('sound').srcObject = stream;
  const context = new AudioContext({ sampleRate: 48000 });
  analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(stream).connect(analyser);
}

// With servers for ICE that the API tells its client with this token, or with none.
window.dial = async (target, hz, { api, token }) => {
  const told = api && (await fetch(`${api}/v1/turn`, { headers: { Authorization: `Bearer ${token}` } }));
  const iceServers = told ? (await told.json()).iceServers : [];
  const call = ua.call(target, { mediaStream: tone(hz), pcConfig: { iceServers } });
  // Something may be dropped on the way to a server: nothing more is waited for than what leads everywhere.
  call.on('icecandidate', ({ candidate, ready }) => { if (candidate.type === 'relay') ready(); });
  call.connection.addEventListener('track', ({ track }) => listen(new MediaStream([track])));
};
window.hangUp = () => session.terminate();
// The loudest tone of what comes, in Hz; 0 where it is silent.
window.hear = () => {
  if (!analyser) return 0;
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  return levels[loudest] > -60 ? Math.round((loudest * 48000) / 8192) : 0;
};
// Packets that have come, and the pair of candidates by which they have.
window.path = async () => {
  const reports = [...(await session.connection.getStats()).values()];
  const of = (id) => reports.find((report) => report.id === id);
  const pair = of(reports.find((report) => report.type === 'transport').selectedCandidatePairId);
  const { candidateType: local, protocol, relayProtocol: relay } = of(pair.localCandidateId);
  const received = reports.find((report) => report.type === 'inbound-rtp').packetsReceived;
  return { local, remote: of(pair.remoteCandidateId).candidateType, protocol, relay, received };
};
// The addresses that the offer has.
window.offered = () => session.connection.localDescription.sdp.match(/(?<=^a=candidate:\S+ \d \S+ \d+ )\S+/gm);
