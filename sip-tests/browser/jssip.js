// The phone of the page on JsSIP, which the driver has made one script of.

/* global JsSIP */
// Trickle ICE (RFC 8840): the description does not say where the page is, and an INFO tells it, which JsSIP sends in a call that is up.
const WORDS = ['Supported: trickle-ice', 'Recv-Info: trickle-ice'];
function trickle(call, step) {
  call.on('icecandidate', ({ ready }) => ready());
  call.on('sdp', (event) => {
    if (event.originator !== 'local') return;
    const bare = event.sdp.replace(/^a=(candidate|end-of-candidates|rtcp:).*\r\n/gm, '');
    event.sdp = bare.replace(/^m=audio \d+/m, 'm=audio 9').replace(/^c=IN IP. .*$/gm, 'c=IN IP4 0.0.0.0');
    step('described', /a=candidate/.test(event.sdp) ? 'with candidates' : 'without candidates');
  });
  call.on('newInfo', ({ info, originator }) => {
    if (originator === 'local') info.on('succeeded', ({ response }) => step('trickled', response.status_code));
  });
  call.on('confirmed', () => {
    const lines = (name) => call.connection.localDescription.sdp.match(new RegExp(`^a=${name}:.*$`, 'gm')) ?? [];
    const [ufrag, pwd, mid] = ['ice-ufrag', 'ice-pwd', 'mid'].map((name) => lines(name)[0]);
    const body = [ufrag, pwd, 'm=audio 9 RTP/AVP 0', mid, ...lines('candidate'), 'a=end-of-candidates', ''].join('\r\n');
    const extraHeaders = ['Info-Package: trickle-ice', 'Content-Disposition: Info-Package'];
    call.sendInfo('application/trickle-ice-sdpfrag', body, { extraHeaders });
  });
}

export function start(options, { step, show, watch }) {
  const media = options.stream
    ? { mediaStream: options.stream }
    : { mediaConstraints: { audio: options.audio, video: false } };
  if (options.trickles) media.extraHeaders = WORDS;
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
    if (options.trickles) trickle(call, step);
    // Of a call of our own it is there already.
    if (call.connection) watch(call.connection);
    else call.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
    if (originator === 'remote') call.answer(media);
  });
  ua.start();
  return { dial: (target) => ua.call(target, media), hangUp: () => session.terminate() };
}
