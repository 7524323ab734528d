// A phone on JsSIP: registers, answers what rings, and tells each step to `tell`, which the driver has put here.
'use strict';

const options = Object.fromEntries(new URLSearchParams(location.search));
let session = null;

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
  step('via', request.headers.Via.map(({ raw }) => raw.split(';')[0]).join(', '));
  call.on('confirmed', ({ originator: by }) => step('confirmed', by));
  call.on('ended', ({ originator: by, cause }) => {
    show('call', `ended (${by}): ${cause}`);
    step('ended', `${by} ${cause}`);
  });
  call.on('failed', ({ originator: by, cause, message }) => step('failed', `${by} ${cause} ${message?.status_code ?? ''}`));
  call.on('peerconnection', ({ peerconnection }) => {
    peerconnection.addEventListener('connectionstatechange', () => {
      show('media', peerconnection.connectionState);
      step('media', peerconnection.connectionState);
    });
    peerconnection.addEventListener('track', ({ streams }) => {
      document.getElementById('sound').srcObject = streams[0];
    });
  });
  if (originator === 'remote') {
    call.answer({ mediaConstraints: { audio: true, video: false } });
  }
});

// What the driver asks for.
window.hangUp = () => session.terminate();
window.heard = async () => {
  let packets = 0;
  for (const report of (await session.connection.getStats()).values()) {
    if (report.type === 'inbound-rtp') packets += report.packetsReceived;
  }
  return packets;
};

ua.start();
