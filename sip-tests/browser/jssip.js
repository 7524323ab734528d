// The phone of the page on JsSIP, which the driver has made one script of.

/* global JsSIP */
export function start(options, { step, show, watch }) {
  const media = options.stream
    ? { mediaStream: options.stream }
    : { mediaConstraints: { audio: options.audio, video: false } };
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(options.server)],
    uri: options.uri,
    password: options.password,
    session_timers: false,
  });
  let session = null;
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
    // Of a call of our own it is there already.
    if (call.connection) watch(call.connection);
    else call.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
    if (originator === 'remote') call.answer(media);
  });
  ua.start();
  return { dial: (target) => ua.call(target, media), hangUp: () => session.terminate() };
}
