// A member of a room on JsSIP, with a camera and places for others. The driver asks for what it sees and hears.
'use strict';

const options = Object.fromEntries(new URLSearchParams(location.search));
document.getElementById('who').textContent = options.uri;
let session = null;
let analyser = null;
let sources = null;
const places = new Map();

const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(options.server)],
  uri: options.uri,
  password: options.password,
  session_timers: false,
});
window.registered = new Promise((resolve, reject) => {
  ua.on('registered', resolve);
  ua.on('registrationFailed', ({ cause }) => reject(new Error(cause)));
});

function listen(stream) {
  // What is not played is not decoded.
  const sound = sources ? document.body.appendChild(Object.assign(document.createElement('audio'), { autoplay: true })) : document.getElementById('sound');
  sound.srcObject = stream;
  sources ??= new AudioContext({ sampleRate: 48000 });
  analyser ??= new AnalyserNode(sources, { fftSize: 8192, smoothingTimeConstant: 0.5 });
  sources.createMediaStreamSource(stream).connect(analyser);
}

function watch(mid, track) {
  const video = document.createElement('video');
  Object.assign(video, { autoplay: true, muted: true, srcObject: new MediaStream([track]) });
  document.getElementById('places').append(video);
  places.set(mid, video);
}

function tracks({ transceiver, track }) {
  if (track.kind === 'audio') listen(new MediaStream([track]));
  else watch(transceiver.mid, track);
}

// Lines for sound and the camera, and further ones on which others are heard, or seen: so many places in all.
function prepare(connection, count, simulcast, voices) {
  connection.addEventListener('track', tracks);
  connection.addTransceiver('audio');
  for (let nth = 0; nth < voices; nth += 1) connection.addTransceiver('audio', { direction: 'recvonly' });
  if (count === 0) return;
  const sendEncodings = [{ rid: 'h' }, { rid: 'l', scaleResolutionDownBy: 4 }];
  connection.addTransceiver('video', simulcast ? { direction: 'sendrecv', sendEncodings } : { direction: 'sendrecv' });
  for (let nth = 1; nth < count; nth += 1) connection.addTransceiver('video', { direction: 'recvonly' });
}

// What the driver asks for.
window.join = async (target, count, simulcast, voices = 0) => {
  const media = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: media, video: count > 0 && { width: 320, height: 240 } });
  return new Promise((resolve, reject) => {
    session = ua.call(target, {
      mediaStream: stream,
      eventHandlers: {
        peerconnection: ({ peerconnection }) => prepare(peerconnection, count, simulcast, voices),
        confirmed: () => resolve(),
        failed: ({ cause, message }) => reject(new Error(`${cause} ${message?.status_code ?? ''}`)),
      },
    });
  });
};
window.leave = () => session.terminate();

// How loud each of these is in what comes, in dB.
window.levels = (tones) => {
  if (!analyser) return tones.map(() => -200);
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const at = (hz) => Math.round((hz * analyser.fftSize) / analyser.context.sampleRate);
  return tones.map((hz) => Math.max(...bins.slice(at(hz) - 1, at(hz) + 2)));
};

// Packets that came on each line of sound, and how many of what was played there were made up.
window.lines = async () => [...(await session.connection.getStats()).values()]
  .filter((one) => one.type === 'inbound-rtp' && one.kind === 'audio')
  .map((one) => ({ mid: one.mid, packets: one.packetsReceived, lost: one.packetsLost, jitter: one.jitter }));

// What comes of sound, for who looks for a fault.
window.sound = async () => {
  const reports = [...(await session.connection.getStats()).values()];
  const { packetsReceived, totalAudioEnergy, audioLevel } = reports.find((one) => one.type === 'inbound-rtp' && one.kind === 'audio') ?? {};
  return { packetsReceived, totalAudioEnergy, audioLevel, state: analyser?.context.state };
};

// Of each place: frames that were decoded, and the colour in its midst as red, green and blue.
window.look = async () => {
  const reports = [...(await session.connection.getStats()).values()];
  const canvas = new OffscreenCanvas(16, 16).getContext('2d', { willReadFrequently: true });
  return [...places].map(([mid, video]) => {
    const report = reports.find((one) => one.type === 'inbound-rtp' && one.kind === 'video' && one.mid === mid);
    if (!video.videoWidth) return { mid, frames: 0 };
    canvas.drawImage(video, 0, 0, 16, 16);
    const colour = [...canvas.getImageData(8, 8, 1, 1).data].slice(0, 3);
    return { mid, frames: report?.framesDecoded ?? 0, keys: report?.keyFramesDecoded, lost: report?.packetsLost, colour, width: video.videoWidth };
  });
};

// What is sent of the camera: of each layer its frames, and how often a key frame was asked for.
window.sent = async () => [...(await session.connection.getStats()).values()]
  .filter((one) => one.type === 'outbound-rtp' && one.kind === 'video')
  .map((one) => ({ rid: one.rid ?? '', frames: one.framesEncoded, plis: one.pliCount, nacks: one.nackCount, target: one.targetBitrate }));

// How much its own estimator would send now, in bits per second, and how often it was told when its packets came is in that.
window.outgoing = async () => {
  const pairs = [...(await session.connection.getStats()).values()].filter((one) => one.type === 'candidate-pair' && one.nominated);
  return Math.max(0, ...pairs.map(({ availableOutgoingBitrate }) => availableOutgoingBitrate ?? 0));
};

ua.start();
