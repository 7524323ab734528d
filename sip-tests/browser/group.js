// A member of a room on JsSIP, with a camera and places for others. The driver asks for what it sees and hears.
'use strict';

const options = Object.fromEntries(new URLSearchParams(location.search));
document.getElementById('who').textContent = options.uri;
let session = null;
let analyser = null;
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
  document.getElementById('sound').srcObject = stream;
  const context = new AudioContext({ sampleRate: 48000 });
  analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0.5 });
  context.createMediaStreamSource(stream).connect(analyser);
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

// Lines for sound and the camera, and further ones on which others are seen: so many places in all.
function prepare(connection, count, simulcast) {
  connection.addEventListener('track', tracks);
  connection.addTransceiver('audio');
  const sendEncodings = [{ rid: 'h' }, { rid: 'l', scaleResolutionDownBy: 4 }];
  connection.addTransceiver('video', simulcast ? { direction: 'sendrecv', sendEncodings } : { direction: 'sendrecv' });
  for (let nth = 1; nth < count; nth += 1) connection.addTransceiver('video', { direction: 'recvonly' });
}

// What the driver asks for.
window.join = async (target, count, simulcast) => {
  const media = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: media, video: { width: 320, height: 240 } });
  return new Promise((resolve, reject) => {
    session = ua.call(target, {
      mediaStream: stream,
      eventHandlers: {
        peerconnection: ({ peerconnection }) => prepare(peerconnection, count, simulcast),
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

ua.start();
