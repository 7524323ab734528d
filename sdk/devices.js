// Microphones and speakers.

import { TandemError } from './base.js';

/**
 * Those that there are. They have names once a microphone was allowed.
 * @returns {Promise<{ microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
 */
export async function devicesOf() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (/** @type {string} */ kind) => all.filter((device) => device.kind === kind);
  return { microphones: of('audioinput'), speakers: of('audiooutput') };
}

/**
 * A microphone. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export async function microphone(wanted, chosen) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new TandemError('no-microphone', 'The browser gives a page a microphone only by https.');
  }
  const constraints = typeof wanted === 'object' ? { ...wanted } : {};
  if (chosen) constraints.deviceId = { exact: chosen };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    return stream.getAudioTracks()[0];
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === 'NotAllowedError') {
      throw new TandemError('microphone-refused', 'The microphone is not allowed. Allow it beside the address of the page.');
    }
    if (name === 'NotFoundError' || name === 'OverconstrainedError') {
      throw new TandemError('no-microphone', 'There is no such microphone. Connect one, or choose another.');
    }
    throw new TandemError('no-microphone', `The microphone cannot be used: ${message}`);
  }
}
