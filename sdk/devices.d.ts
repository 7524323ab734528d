/**
 * Those that there are. They have names once a microphone was allowed.
 * @returns {Promise<{ microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
 */
export function devicesOf(): Promise<{
    microphones: MediaDeviceInfo[];
    cameras: MediaDeviceInfo[];
    speakers: MediaDeviceInfo[];
}>;
/**
 * A microphone. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export function microphone(wanted: MediaTrackConstraints | boolean, chosen?: string): Promise<MediaStreamTrack>;
/**
 * A camera. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export function camera(wanted: MediaTrackConstraints | boolean, chosen?: string): Promise<MediaStreamTrack>;
/**
 * A screen, a window or a tab, which the browser has its user choose. To be called from a gesture.
 * @returns {Promise<MediaStreamTrack>}
 */
export function screen(): Promise<MediaStreamTrack>;
