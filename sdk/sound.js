// What a page hears of a call.

import { Emitter } from './base.js';

/** Used by `Call`. The event `blocked`: the browser plays nothing before a gesture. */
export class Sound extends Emitter {
  /** @type {HTMLAudioElement | null} */
  #audio = null;
  #isMuted = false;

  /** It plays, or would. */
  get isOn() {
    return this.#audio !== null;
  }

  /**
   * Plays this from now on, all of its tracks. False where the browser does not.
   * @param {MediaStream} stream
   * @param {string | undefined} speaker A `deviceId`.
   * @returns {Promise<boolean>}
   */
  async play(stream, speaker) {
    if (!this.#audio) {
      this.#audio = new Audio();
      this.#audio.muted = this.#isMuted;
      if (speaker) this.use(speaker).catch(() => {});
    }
    this.#audio.srcObject = stream;
    try {
      await this.#audio.play();
      return true;
    } catch (error) {
      if (/** @type {Error} */ (error).name === 'NotAllowedError') this.emit('blocked');
      return false;
    }
  }

  /** @param {boolean} on */
  mute(on) {
    this.#isMuted = on;
    if (this.#audio) this.#audio.muted = on;
  }

  /** @param {string | undefined} speaker A `deviceId`. */
  async use(speaker) {
    const audio = /** @type {any} */ (this.#audio);
    if (audio?.setSinkId) await audio.setSinkId(speaker ?? '');
  }

  close() {
    if (this.#audio) this.#audio.srcObject = null;
  }
}
