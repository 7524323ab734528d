/**
 * Those that there are. They have names once a microphone was allowed.
 * @returns {Promise<{ microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
 */
export function devicesOf(): Promise<{
    microphones: MediaDeviceInfo[];
    speakers: MediaDeviceInfo[];
}>;
/**
 * A microphone. Refusals are told in words.
 * @param {MediaTrackConstraints | boolean} wanted
 * @param {string} [chosen] Its `deviceId`.
 * @returns {Promise<MediaStreamTrack>}
 */
export function microphone(wanted: MediaTrackConstraints | boolean, chosen?: string): Promise<MediaStreamTrack>;
