// A phone on JsSIP: registers, answers what rings, and tells each step to `tell`, which the driver has put here.
'use strict';

const options = Object.fromEntries(new URLSearchParams(location.search));
let session = null;
// A tone is what the browser would take for noise and echo.
const mediaConstraints = {
  mediaConstraints: {
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    video: false,
  },
};

function step(what, detail = '') {
  document.getElementById('log').textContent += `${what} ${detail}\n`;
  window.tell(what, String(detail));
}

function show(id, text) {
  document.getElementById(id).textContent = text;
}

const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(options.server)],
  uri: options.uri,
  password: options.password,
  session_timers: false,
});

ua.on('connected', () => step('connected'));
ua.on('disconnected', ({ code, reason }) => step('disconnected', `${code} ${reason}`));
ua.on('registered', ({ response }) => {
  show('registration', `${options.uri}: ${response.status_code}`);
  step('registered', response.status_code);
});
ua.on('registrationFailed', ({ cause }) => step('registration-failed', cause));

ua.on('newRTCSession', ({ session: call, originator, request }) => {
  session = call;
  show('call', `${originator}: ${call.remote_identity.uri}`);
  step('call', `${originator} ${call.remote_identity.uri}`);
  // The Via fields that the page sees: who was on the way.
  if (originator === 'remote') step('via', request.headers.Via.map(({ raw }) => raw.split(';')[0]).join(', '));
  call.on('confirmed', ({ originator: by }) => step('confirmed', by));
  call.on('ended', ({ originator: by, cause }) => {
    show('call', `ended (${by}): ${cause}`);
    step('ended', `${by} ${cause}`);
  });
  call.on('failed', ({ originator: by, cause, message }) => step('failed', `${by} ${cause} ${message?.status_code ?? ''}`));
  const watch = (peerconnection) => {
    peerconnection.addEventListener('connectionstatechange', () => {
      show('media', peerconnection.connectionState);
      step('media', peerconnection.connectionState);
    });
    peerconnection.addEventListener('track', ({ streams, track }) => {
      const stream = streams[0] ?? new MediaStream([track]);
      document.getElementById('sound').srcObject = stream;
      listen(stream);
    });
  };
  // Of a call of our own it is there already.
  if (call.connection) watch(call.connection);
  else call.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
  if (originator === 'remote') {
    call.answer(mediaConstraints);
  }
});

let analyser = null;

// What comes is not only played, but looked at too.
function listen(stream) {
  const context = new AudioContext();
  analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  analyser.smoothingTimeConstant = 0;
  context.createMediaStreamSource(stream).connect(analyser);
}

// What the driver asks for.
window.dial = (target) => ua.call(target, mediaConstraints);
// The loudest frequency of what comes in Hz, and how loud it is in dB.
window.tone = () => {
  if (!analyser) return [0, -200];
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  return [(loudest * analyser.context.sampleRate) / analyser.fftSize, levels[loudest]];
};
// The pair that ICE has chosen, and by what media is sealed.
window.path = async () => {
  const reports = [...(await session.connection.getStats()).values()];
  const of = (id) => reports.find((report) => report.id === id);
  const transport = reports.find((report) => report.type === 'transport');
  const pair = of(transport.selectedCandidatePairId);
  const [own, theirs] = [of(pair.localCandidateId), of(pair.remoteCandidateId)];
  return `${own.candidateType}-${theirs.candidateType} ${own.protocol} ${transport.srtpCipher} ${transport.tlsVersion}`;
};
window.hangUp = () => session.terminate();
window.heard = async () => {
  let packets = 0;
  for (const report of (await session.connection.getStats()).values()) {
    if (report.type === 'inbound-rtp') packets += report.packetsReceived;
  }
  return packets;
};

ua.start();
