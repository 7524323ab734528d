// Microphones, cameras, speakers and screens.

import { TandemError } from './base.js';

/**
 * Those that there are. They have names once a microphone was allowed.
 * @returns {Promise<{ microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
 */
export async function devicesOf() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (/** @type {string} */ kind) => all.filter((device) => device.kind === kind);
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') };
}

/**
 * A microphone. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export async function microphone(wanted, chosen) {
  return device('audio', 'microphone', typeof wanted === 'object' ? wanted : {}, chosen);
}

/**
 * A camera. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export async function camera(wanted, chosen) {
  const usual = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { max: 30 } };
  return device('video', 'camera', typeof wanted === 'object' ? wanted : usual, chosen);
}

/**
 * A screen, a window or a tab, which the browser has its user choose. To be called from a gesture.
 * @returns {Promise<MediaStreamTrack>}
 */
export async function screen() {
  if (!navigator.mediaDevices?.getDisplayMedia) {
    throw new TandemError('no-screen', 'This browser shares no screens, or only by https.');
  }
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
    const [track] = stream.getVideoTracks();
    // Text is to be read: better fewer frames than blurred ones.
    track.contentHint = 'detail';
    return track;
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === 'NotAllowedError') throw new TandemError('screen-refused', 'Nothing was chosen to be shared, or the browser does not allow it.');
    throw new TandemError('no-screen', `The screen cannot be shared: ${message}`);
  }
}

/**
 * @param {'audio' | 'video'} kind
 * @param {'microphone' | 'camera'} word
 * @param {MediaTrackConstraints} wanted
 * @param {string} [chosen]
 * @returns {Promise<MediaStreamTrack>}
 */
async function device(kind, word, wanted, chosen) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new TandemError(`no-${word}`, `The browser gives a page a ${word} only by https.`);
  }
  const constraints = { ...wanted };
  if (chosen) constraints.deviceId = { exact: chosen };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints });
    return stream.getTracks()[0];
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === 'NotAllowedError') {
      throw new TandemError(`${word}-refused`, `The ${word} is not allowed. Allow it beside the address of the page.`);
    }
    if (name === 'NotFoundError' || name === 'OverconstrainedError') {
      throw new TandemError(`no-${word}`, `There is no such ${word}. Connect one, or choose another.`);
    }
    throw new TandemError(`no-${word}`, `The ${word} cannot be used: ${message}`);
  }
}
