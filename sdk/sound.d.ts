/** Used by `Call`. The event `blocked`: the browser plays nothing before a gesture. */
export class Sound extends Emitter {
    /** It plays, or would. */
    get isOn(): boolean;
    /**
     * Plays this from now on, all of its tracks. False where the browser does not.
     * @param {MediaStream} stream
     * @param {string | undefined} speaker A `deviceId`.
     * @returns {Promise<boolean>}
     */
    play(stream: MediaStream, speaker: string | undefined): Promise<boolean>;
    /** @param {boolean} on */
    mute(on: boolean): void;
    /** @param {string | undefined} speaker A `deviceId`. */
    use(speaker: string | undefined): Promise<void>;
    close(): void;
    #private;
}
import { Emitter } from './base.js';
